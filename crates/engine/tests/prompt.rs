//! AUTOMATIC1111's prompt syntax: against a reference's numbers, on whole samples, and on anything
//! at all.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use diffusion_engine::config::{ClipTextConfig, Reader};
use diffusion_engine::models::ClipText;
use diffusion_engine::ops::{Meter, Packing};
use diffusion_engine::prompt::{
    Chunk, MAX_FORMS, MAX_HELD, MAX_TEXTS, MAX_WEIGHT, PromptError, Role, Texts, attention, read,
};
use diffusion_engine::tokenizer::Tokenizer;
use diffusion_engine::weights::Weights;
use diffusion_engine::{Precision, Source, slerp};
use proptest::prelude::*;
use serde::Deserialize;

mod support;

use support::{Goldens, assert_close, goldens};

const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Notes {
    cases: Vec<Case>,
    strengths: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    prompt: String,
    clip_skip: usize,
}

fn notes() -> Notes {
    serde_json::from_slice(&std::fs::read(goldens().join("a1111.json")).unwrap()).unwrap()
}

fn source(model: &str) -> Source {
    Source::Folder(Path::new(&goldens()).join(model))
}

fn tokenizer(model: &str) -> Tokenizer {
    Tokenizer::open(&source(model), "tokenizer").unwrap()
}

#[test]
fn chunks_weights_and_contexts_are_those_of_the_reference() {
    let goldens = Goldens::open("a1111");
    for family in ["sd1", "sd2"] {
        let source = source(&format!("tiny-{family}"));
        let tokenizer = Tokenizer::open(&source, "tokenizer").unwrap();
        let config = Reader::open(&source, "text_encoder/config.json").unwrap();
        let config = ClipTextConfig::read(&config).unwrap();
        let hidden = config.hidden_size;
        let weights = Weights::open(&source, "text_encoder").unwrap();
        let encoder =
            ClipText::load(weights, config, Packing::new(u64::MAX, Precision::F32)).unwrap();
        for Case { name, prompt, clip_skip } in notes().cases {
            let what = format!("{family}.{name}");
            let texts = Texts::read(&tokenizer, &prompt, Role::Prompt, 10).unwrap();
            let chunks = || texts.chunks.iter().flatten();
            let ids: Vec<i64> = chunks().flat_map(|c| &c.ids).map(|id| i64::from(*id)).collect();
            assert_eq!(ids, goldens.ints(&format!("{what}.ids")), "{what}");
            let weights: Vec<f32> = chunks().flat_map(|c| c.weights.clone()).collect();
            assert_close(&what, &weights, &goldens.floats(&format!("{what}.weights")), 1e-6);

            let contexts = texts.contexts(&encoder, clip_skip - 1, &Meter::new()).unwrap();
            let kept = contexts.iter().flat_map(|context| {
                let values = context.interleaved(0);
                let tokens: Vec<Vec<f32>> = values.chunks(hidden).map(<[f32]>::to_vec).collect();
                tokens.into_iter().step_by(4).flatten().collect::<Vec<_>>()
            });
            let (kept, want) = (kept.collect::<Vec<_>>(), format!("{what}.context"));
            assert_close(&what, &kept, &goldens.floats(&want), TOLERANCE);
        }
    }
}

/// What the web UI's own code makes of a prompt in ten steps.
#[derive(Deserialize)]
struct Webui {
    prompt: String,
    /// A text and how many steps it holds.
    sections: Vec<(String, usize)>,
    /// Of each text, parts with their weight; a break has −1.
    parts: BTreeMap<String, Vec<(String, f64)>>,
}

/// Brackets that match nothing, of which the web UI's ambiguous grammar takes `[é::4]` for text where
/// two closing ones and an opening one follow.
const AMBIGUOUS: &str = r":-1)[é::4]])]](: 3 ]é:\()[b c";

#[test]
fn prompts_of_chance_are_read_as_by_the_web_ui() {
    let file = std::fs::read(goldens().join("webui.json")).unwrap();
    for Webui { prompt, sections, parts } in serde_json::from_slice::<Vec<Webui>>(&file).unwrap() {
        if prompt == AMBIGUOUS {
            continue;
        }
        let (schedule, texts) = read(&prompt, Role::Negative, 10).unwrap();
        let mut wanted = sections.iter().flat_map(|(text, steps)| vec![text; *steps]);
        let mut begin = 0;
        for (end, text) in schedule.sections {
            for step in begin..end {
                assert_eq!(Some(&schedule.texts[text]), wanted.next(), "{prompt:?}, step {step}");
            }
            let wanted = &parts[&schedule.texts[text]];
            assert_eq!(texts[text].len(), wanted.len(), "{prompt:?}: {:?}", texts[text]);
            for (part, (text, weight)) in texts[text].iter().zip(wanted) {
                assert_eq!(&part.text, text, "{prompt:?}");
                assert!(
                    (part.weight - weight).abs() <= 1e-9 * weight.abs(),
                    "{prompt:?}: {part:?}"
                );
            }
            begin = end;
        }
        assert_eq!(wanted.next(), None, "{prompt:?}");
    }
}

#[test]
fn noises_are_mixed_as_by_the_reference() {
    let goldens = Goldens::open("a1111");
    let (own, other) = (goldens.floats("noise.own"), goldens.floats("noise.other"));
    for strength in notes().strengths {
        let name = format!("noise.{strength:?}");
        let mixed = slerp(&own, &other, strength, 6, 5);
        assert_close(&name, &mixed, &goldens.floats(&name), TOLERANCE);
    }
}

#[test]
fn long_texts_are_chunks_of_what_stands_there() {
    let tokenizer = tokenizer("tiny-sd1");
    let long = |text: &str| Texts::long(&tokenizer, text, Role::Prompt).unwrap();
    let text = "a (castle:1.5) on a [hill], BREAK ".repeat(20);
    // The tokenizer takes capitals for small letters.
    let escaped = escaped(&text).replace("BREAK", "break");
    let same = Texts::read(&tokenizer, &escaped, Role::Prompt, 10).unwrap();
    assert!(same.chunks[0].len() > 1);
    assert_eq!(long(&text).chunks, same.chunks);
    let short = tokenizer.encode("a (cat)").unwrap();
    assert_eq!(long("a (cat)").chunks, [[Chunk::plain(short.ids)]]);
    let refused = Texts::long(&tokenizer, &"x ".repeat(32 * 75 + 1), Role::Prompt).unwrap_err();
    assert!(refused.to_string().starts_with("prompt takes more than 32 chunks"), "{refused}");
}

#[test]
fn too_many_chunks_are_refused_alone_and_together() {
    let tokenizer = tokenizer("tiny-sd1");
    let refusal = |prompt: &str| {
        Texts::read(&tokenizer, prompt, Role::Negative, 100).unwrap_err().to_string()
    };
    Texts::read(&tokenizer, &"x ".repeat(32 * 75), Role::Negative, 100).unwrap();
    for long in ["x ".repeat(32 * 75 + 1), "BREAK ".repeat(40), "x ".repeat(30_000)] {
        let refused = refusal(&long);
        assert!(refused.starts_with("negative_prompt takes more than 32 chunks"), "{refused}");
    }
    let words: Vec<String> = (0..MAX_HELD / 2 + 1).map(|word| word.to_string()).collect();
    let refused = refusal(&format!("a BREAK b [{}]", words.join("|")));
    assert!(refused.contains(&format!("takes {} chunks", MAX_HELD + 2)), "{refused}");
}

static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();

/// Texts with far more syntax in them than prompts have.
fn prompts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(":".to_owned()),
        Just("|".to_owned()),
        Just("\\".to_owned()),
        Just(":1.2)".to_owned()),
        Just(":0.5]".to_owned()),
        Just(": 3 ]".to_owned()),
        Just(" BREAK ".to_owned()),
        Just(",".to_owned()),
        Just("\n#".to_owned()),
        "[a-c é]{1,4}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A text of A1111's syntax that means this one.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if "()[]\\".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

proptest! {
    #[test]
    fn anything_is_read_or_refused(prompt in prompts(), steps in 1_usize..200) {
        for role in [Role::Prompt, Role::Negative] {
            let (schedule, texts) = match read(&prompt, role, steps) {
                Ok(read) => read,
                Err(PromptError::Held(_) | PromptError::Chunks) => panic!("nothing is cut yet"),
                Err(_) => continue,
            };
            prop_assert!(schedule.texts.len() <= MAX_TEXTS && schedule.texts.len() == texts.len());
            prop_assert!(schedule.texts.iter().all(|text| text.len() <= prompt.len() + 1));
            let ends: Vec<usize> = schedule.sections.iter().map(|(end, _)| *end).collect();
            prop_assert!(ends.is_sorted() && ends[0] >= 1 && ends.last() == Some(&steps));
            prop_assert!(schedule.sections.iter().all(|(_, text)| *text < texts.len()));
            for part in texts.iter().flatten() {
                prop_assert!(part.weight.abs() <= MAX_WEIGHT);
            }
        }
    }

    #[test]
    fn text_without_syntax_is_one_part_of_itself(text in "[a-z0-9 ,.!?{}\"'é猫]{0,80}") {
        let (schedule, texts) = read(&text, Role::Negative, 7).unwrap();
        prop_assert_eq!(&schedule.texts, std::slice::from_ref(&text));
        prop_assert_eq!(schedule.sections, vec![(7, 0)]);
        prop_assert_eq!(texts[0].len(), 1);
        prop_assert_eq!((&texts[0][0].text, texts[0][0].weight), (&text, 1.0));
    }

    #[test]
    fn escaped_text_is_itself(text in "[a-c()\\[\\]\\\\ ]{0,40}") {
        let escaped = escaped(&text);
        let parts = attention::read(&escaped).unwrap();
        prop_assert_eq!(parts.len(), 1);
        prop_assert_eq!((&parts[0].text, parts[0].weight), (&text, 1.0));
        let (schedule, _) = read(&escaped, Role::Negative, 9).unwrap();
        prop_assert_eq!(schedule.texts, vec![escaped]);
    }

    #[test]
    fn every_chunk_has_its_length_begin_and_end(prompt in prompts()) {
        let tokenizer = TOKENIZER.get_or_init(|| tokenizer("tiny-sd2"));
        let (begin, end, _) = tokenizer.frame();
        if let Ok(texts) = Texts::read(tokenizer, &prompt, Role::Negative, 10) {
            for chunk in texts.chunks.iter().flatten() {
                prop_assert_eq!((chunk.ids.len(), chunk.weights.len()), (77, 77));
                prop_assert_eq!((chunk.ids[0], chunk.weights[0]), (begin, 1.0));
                prop_assert!(chunk.ids.contains(&end));
            }
        }
    }
}

/// What would be slow or deep if it were read carelessly.
#[test]
fn hostile_prompts_are_read_in_bounded_time() {
    let started = Instant::now();
    let many = |piece: &str| piece.repeat((64 << 10) / piece.len());
    for piece in [
        "(",
        ")",
        "[",
        "]",
        ":",
        "|",
        "\\",
        "(a)",
        "[a|b]",
        "[a:b:3]",
        "[",
        "((((((((a))))))))",
        "<a:",
        "<a:<",
        ": ",
        ":1)",
        "BREAK",
        " BREAK ",
        "AND ",
        "a:",
        "[a:",
        "[a|",
        "(a [b) c]",
        "[[a:b:2]|c]",
        "#",
        "#\n",
        "é",
        "(é:1.0000)",
        "[a:[b:c:2]:3",
    ] {
        for role in [Role::Prompt, Role::Negative] {
            // Whether it is refused does not matter here.
            let _ = read(&many(piece), role, 1000);
        }
    }
    let forms = format!("{}{}", "[a|b]".repeat(MAX_FORMS), "x".repeat(60_000));
    read(&forms, Role::Prompt, 1000).unwrap();
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
