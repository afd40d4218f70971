//! Prompts to token ids, as transformers' `CLIPTokenizer` makes them.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use diffusion_engine::tokenizer::{Tokenizer, TokenizerFiles};
use diffusion_engine::{Error, Source};
use proptest::prelude::*;
use serde::Deserialize;

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

#[derive(Deserialize)]
struct Notes {
    tokenizer: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    ids: Vec<u32>,
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn open(model: &str) -> Tokenizer {
    Tokenizer::open(&Source::Folder(goldens().join(model)), "tokenizer").unwrap()
}

fn matches_goldens(model: &str, notes: &str) {
    let tokenizer = open(model);
    let notes = std::fs::read(goldens().join(notes)).unwrap();
    let notes: Notes = serde_json::from_slice(&notes).unwrap();
    assert!(notes.tokenizer.len() > 10);
    for case in notes.tokenizer {
        let encoding = tokenizer.encode(&case.prompt).unwrap();
        assert_eq!(encoding.ids, case.ids, "{:?}", case.prompt);
    }
}

#[test]
fn vocab_and_merges_give_the_reference_ids() {
    matches_goldens("tiny-sd1", "modules-sd1.json");
}

#[test]
fn tokenizer_json_gives_the_reference_ids() {
    matches_goldens("tiny-sd2", "modules-sd2.json");
}

#[test]
fn a_long_prompt_is_cut_and_the_rest_told() {
    let tokenizer = open("tiny-sd1");
    let fits = tokenizer.encode(&"cat ".repeat(20)).unwrap();
    assert_eq!((fits.ids.len(), fits.dropped, fits.dropped_text.as_str()), (77, 0, ""));

    let letters = |count| "x ".repeat(count);
    let full = tokenizer.encode(&letters(75)).unwrap();
    assert_eq!((full.ids.len(), full.dropped), (77, 0));
    let long = tokenizer.encode(&format!("{}a Photo of", letters(75))).unwrap();
    assert_eq!(long.ids, full.ids);
    assert_eq!(long.dropped_text, "a photo of");
    assert!(long.dropped >= 3);
    // The end token is kept.
    assert_eq!(long.ids.last(), tokenizer.encode("").unwrap().ids.get(1));
}

#[test]
fn white_space_and_case_do_not_matter() {
    let tokenizer = open("tiny-sd1");
    assert_eq!(
        tokenizer.encode("A  Photo\n\tof a CAT ").unwrap(),
        tokenizer.encode("a photo of a cat").unwrap()
    );
}

/// The files of a tokenizer of a few letters.
struct Parts {
    tokenizer_json: Option<String>,
    vocab: Option<String>,
    merges: Option<String>,
    config: Option<String>,
    special_tokens_map: Option<String>,
    added_tokens: Option<String>,
}

impl Parts {
    fn small() -> Self {
        let tokens = ["a", "b", "a</w>", "b</w>", "ab</w>", "!", "!</w>", START, END];
        let vocab: serde_json::Map<_, _> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).into(), id.into())).collect();
        Self {
            tokenizer_json: None,
            vocab: Some(serde_json::Value::Object(vocab).to_string()),
            merges: Some("#version: 0.2\na b</w>\n\n".into()),
            config: None,
            special_tokens_map: None,
            added_tokens: None,
        }
    }

    fn with_config(config: &str) -> Self {
        Self { config: Some(config.into()), ..Self::small() }
    }

    fn build(&self) -> Result<Tokenizer, Error> {
        let bytes = |text: &'_ Option<String>| text.clone().map(String::into_bytes);
        let (json, vocab) = (bytes(&self.tokenizer_json), bytes(&self.vocab));
        let (merges, config) = (bytes(&self.merges), bytes(&self.config));
        let (map, added) = (bytes(&self.special_tokens_map), bytes(&self.added_tokens));
        Tokenizer::from_parts(TokenizerFiles {
            tokenizer_json: json.as_deref(),
            vocab: vocab.as_deref(),
            merges: merges.as_deref(),
            config: config.as_deref(),
            special_tokens_map: map.as_deref(),
            added_tokens: added.as_deref(),
            place: Path::new("model/tokenizer"),
        })
    }

    fn start(&self, text: &str, count: usize) -> Vec<u32> {
        self.build().unwrap().encode(text).unwrap().ids[..count].to_vec()
    }
}

#[test]
fn the_folder_may_have_no_configuration() {
    let tokenizer = Parts::small().build().unwrap();
    assert_eq!(tokenizer.max_length(), 77);
    assert_eq!(Parts::small().start("ab b!", 6), [7, 4, 3, 6, 8, 8]);
}

#[test]
fn lengths_that_make_no_sense_are_clips() {
    for (length, expected) in
        [("1e30", 77), ("1000000000000000019884624838656", 77), ("null", 77), ("16", 16), ("2", 2)]
    {
        let parts = Parts::with_config(&format!("{{\"model_max_length\": {length}}}"));
        let tokenizer = parts.build().unwrap();
        assert_eq!(tokenizer.max_length(), expected);
        assert_eq!(tokenizer.encode("a b a b").unwrap().ids.len(), expected);
    }
    Parts::with_config(r#"{"model_max_length": 1}"#).build().unwrap_err();
    Parts::with_config(r#"{"model_max_length": -5}"#).build().unwrap_err();
}

#[test]
fn the_padding_token_is_special() {
    let config = r#"{"pad_token": "!"}"#;
    assert_eq!(Parts::with_config(config).start("b!", 6), [7, 3, 5, 8, 5, 5]);

    // The special tokens map goes before the configuration, unless that declares tokens.
    let map = Some(format!(r#"{{"pad_token": "{END}"}}"#));
    let parts = Parts { special_tokens_map: map, ..Parts::with_config(config) };
    assert_eq!(parts.start("b!", 5), [7, 3, 6, 8, 8]);
    let declaring = r#"{"pad_token": "!", "added_tokens_decoder": {}}"#;
    let parts = Parts { config: Some(declaring.into()), ..parts };
    assert_eq!(parts.start("b!", 5), [7, 3, 5, 8, 5]);
}

#[test]
fn special_tokens_in_a_prompt_are_found_as_declared() {
    assert_eq!(Parts::small().start(&format!("a{END}b"), 5), [7, 2, 8, 3, 8]);

    // Normalized tokens are found in any case. Of end, unknown and padding token the last one counts.
    let end = format!(
        r#"{{"content": "{END}", "lstrip": false, "normalized": true, "rstrip": false,
            "single_word": false}}"#
    );
    let all = format!(r#"{{"eos_token": {end}, "unk_token": {end}, "pad_token": {end}}}"#);
    let parts = Parts { special_tokens_map: Some(all), ..Parts::small() };
    assert_eq!(parts.start("a<|ENDOFTEXT|>b", 5), [7, 2, 8, 3, 8]);
    let some = format!(r#"{{"eos_token": {end}, "unk_token": {end}, "pad_token": "{END}"}}"#);
    let parts = Parts { special_tokens_map: Some(some), ..parts };
    assert_ne!(parts.start("a<|ENDOFTEXT|>b", 5), [7, 2, 8, 3, 8]);
}

#[test]
fn added_tokens_are_found() {
    let parts = Parts { added_tokens: Some(r#"{"<cat>": 9}"#.into()), ..Parts::small() };
    assert_eq!(parts.start("a <CAT> b", 5), [7, 2, 9, 3, 8]);

    let config = r#"{"added_tokens_decoder": {
        "9": {"content": "<cat>", "lstrip": false, "normalized": false, "rstrip": false,
              "single_word": false, "special": true}}}"#;
    assert_eq!(Parts::with_config(config).start("a <cat> b", 5), [7, 2, 9, 3, 8]);
}

#[test]
fn extra_special_tokens_are_found_in_lists_and_maps() {
    let parts = Parts {
        added_tokens: Some(r#"{"<a>": 9}"#.into()),
        special_tokens_map: Some(r#"{"additional_special_tokens": ["<a>"]}"#.into()),
        ..Parts::with_config(r#"{"extra_special_tokens": {}}"#)
    };
    assert_eq!(parts.start("a<a>b<A>", 5), [7, 2, 9, 3, 8]);
    let config = r#"{"extra_special_tokens": {"image_token": "<a>"}}"#;
    let parts = Parts { special_tokens_map: None, config: Some(config.into()), ..parts };
    assert_eq!(parts.start("a<a>b<A>", 5), [7, 2, 9, 3, 8]);
}

#[test]
fn tokenizer_json_may_list_merges_as_lines_or_pairs() {
    let json = |merge: &str| {
        format!(
            r#"{{"version": "1.0", "added_tokens": [], "normalizer": null, "model": {{
                "type": "BPE", "end_of_word_suffix": "</w>",
                "vocab": {{"a": 0, "b</w>": 1, "ab</w>": 2, "{START}": 3, "{END}": 4}},
                "merges": [{merge}]}}}}"#
        )
    };
    for merge in [r#""a b</w>""#, r#"["a", "b</w>"]"#] {
        let parts = Parts { tokenizer_json: Some(json(merge)), ..Parts::small() };
        assert_eq!(parts.start("AB", 4), [3, 2, 4, 4]);
    }
    for merge in [r#""ab</w>""#, r#"["a"]"#, r#"["b", "a"]"#, "7"] {
        let parts = Parts { tokenizer_json: Some(json(merge)), ..Parts::small() };
        assert!(matches!(parts.build(), Err(Error::Malformed { .. })), "{merge}");
    }
}

#[test]
fn broken_files_are_named() {
    let small = Parts::small;
    let cases = [
        (Parts { vocab: None, ..small() }, "neither"),
        (Parts { merges: None, ..small() }, "neither"),
        (Parts { vocab: Some("{".into()), ..small() }, "vocab.json"),
        (Parts { vocab: Some(r#"{"a": 4294967295}"#.into()), ..small() }, "impossible id"),
        (Parts { vocab: Some(r#"{"a": 0}"#.into()), merges: Some("".into()), ..small() }, START),
        (Parts { merges: Some("a b c".into()), ..small() }, "merges.txt"),
        (Parts { merges: Some("b a".into()), ..small() }, "vocab.json"),
        (Parts { tokenizer_json: Some("[]".into()), ..small() }, "tokenizer.json"),
        (Parts::with_config("{"), "tokenizer_config.json"),
        (Parts::with_config(r#"{"bos_token": "<s>"}"#), "<s>"),
        (Parts { special_tokens_map: Some("7".into()), ..small() }, "special_tokens_map.json"),
        (Parts { added_tokens: Some("[7]".into()), ..small() }, "added_tokens.json"),
        (Parts { vocab: Some(" ".repeat(33 << 20)), ..small() }, "32 MiB"),
    ];
    for (parts, expected) in cases {
        let error = parts.build().unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = Tokenizer::open(&Source::Folder(goldens()), "no-such-folder").unwrap_err();
    assert!(error.to_string().contains("no-such-folder"), "{error}");
}

#[test]
fn other_kinds_of_tokenizers_are_unsupported() {
    let unigram = r#"{"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}"#;
    let words = r#"{"model": {"type": "BPE", "vocab": {}, "merges": []}}"#;
    let cases = [
        Parts { tokenizer_json: Some(unigram.into()), ..Parts::small() },
        Parts { tokenizer_json: Some(words.into()), ..Parts::small() },
        Parts::with_config(r#"{"padding_side": "left"}"#),
        Parts::with_config(r#"{"truncation_side": "left"}"#),
    ];
    for parts in cases {
        let error = parts.build().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    }
}

#[test]
fn bytes_that_the_vocabulary_lacks_are_unknown() {
    assert_eq!(Parts::small().start("c", 4), [7, 8, 8, 8]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_encodes(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}|.{0,300}") {
        thread_local!(static TOKENIZER: Tokenizer = open("tiny-sd1"));
        let encoding = TOKENIZER.with(|tokenizer| tokenizer.encode(&text)).unwrap();
        prop_assert_eq!(encoding.ids.len(), 77);
    }
}
