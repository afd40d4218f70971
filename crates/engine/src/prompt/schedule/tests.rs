//! Prompts and their sections, rule by rule.

use super::*;

/// The sections of a schedule with their texts.
fn sections(prompt: &str, steps: usize) -> Vec<(usize, String)> {
    let schedule = read(prompt, steps).unwrap();
    let text = |index: usize| schedule.texts[index].clone();
    schedule.sections.iter().map(|(end, index)| (*end, text(*index))).collect()
}

/// One case for each rule: the prompt, the steps of its run, and its sections.
type Case = (&'static str, usize, &'static [(usize, &'static str)]);

#[track_caller]
fn check(cases: &[Case]) {
    for (prompt, steps, want) in cases {
        let want: Vec<_> = want.iter().map(|(end, text)| (*end, (*text).to_owned())).collect();
        assert_eq!(sections(prompt, *steps), want, "{prompt}");
    }
}

#[test]
fn scheduled_texts() {
    check(&[
        // Without a form; one that begins, changes and ends.
        ("stone wall, moss", 7, &[(7, "stone wall, moss")]),
        ("river[, fog:5]", 8, &[(5, "river"), (8, "river, fog")]),
        ("[dawn:dusk:3] light", 9, &[(3, "dawn light"), (9, "dusk light")]),
        ("street[ in rain::4]", 12, &[(4, "street in rain"), (12, "street")]),
        // Spaces are of the texts, and not of the number.
        ("<[ ink : oil :  2 ]>", 6, &[(2, "< ink >"), (6, "< oil >")]),
        // With a point, a part of all steps.
        ("[hut:inn:.75]", 8, &[(6, "hut"), (8, "inn")]),
        // Side by side, at different steps and at one.
        ("[owl:bat:2], [sun:moon:6]", 9, &[(2, "owl, sun"), (6, "bat, sun"), (9, "bat, moon")]),
        ("[owl:bat:3][sun:3]", 4, &[(3, "owl"), (4, "batsun")]),
        // In what comes before a change, and behind it.
        ("[[ash:elm:1]:oak:4]", 6, &[(1, "ash"), (4, "elm"), (6, "oak")]),
        ("[ash:[elm:oak:2]:5]", 6, &[(2, "ash"), (5, "ash"), (6, "oak")]),
        // Around brackets that weigh, and within them.
        ("[[thin] (lines:0.8):3] fade", 5, &[(3, " fade"), (5, "[thin] (lines:0.8) fade")]),
        ("(wet [cat:dog:1]:1.4)", 2, &[(1, "(wet cat:1.4)"), (2, "(wet dog:1.4)")]),
    ]);
}

#[test]
fn alternating_texts() {
    check(&[
        ("[red|blue|grey]", 4, &[(1, "red"), (2, "blue"), (3, "grey"), (4, "red")]),
        // An option may be empty, and hold brackets that weigh.
        ("[|very ]old", 3, &[(1, "old"), (2, "very old"), (3, "old")]),
        ("[elm|wet (ash:0.7)|]", 3, &[(1, "elm"), (2, "wet (ash:0.7)"), (3, "")]),
        // In a schedule, and with one inside.
        ("[[n|s]:e:2]", 3, &[(1, "n"), (2, "s"), (3, "e")]),
        ("[ink|[oil:wax:2]]", 4, &[(1, "ink"), (2, "oil"), (3, "ink"), (4, "wax")]),
        // In each other, each by the steps of the run.
        ("[x|[y|z]]", 4, &[(1, "x"), (2, "z"), (3, "x"), (4, "z")]),
    ]);
}

#[test]
fn what_has_no_form_is_text() {
    for prompt in [
        "a | b [c:d:3]",
        "(a|b) [c:2]",
        "[a|b:3]",
        "lamp [lit",
        "(lamp [lit) low:3]",
        "[a:b:c:3]",
        "[a:(b:2)]",
        "[[x:y]:2]",
        "[a:b:1_0]",
        "[a:b:3)",
        "(x:[y]:2)",
        "\\[a:b:3\\]",
        "[a:b:]",
        "[a:b:nan]",
        "[a:2] \\",
        "[a:2] \\\n",
    ] {
        assert_eq!(sections(prompt, 5), [(5, prompt.to_owned())]);
    }
}

#[test]
fn forms_count_among_brackets_that_are_text() {
    for (prompt, first, second) in [
        ("cat :) [a:b:2] :(", "cat :) a :(", "cat :) b :("),
        ("[(dim] [lit:2]", "[(dim] ", "[(dim] lit"),
        ("x: [a:b:2], y: z", "x: a, y: z", "x: b, y: z"),
        ("x [a:b:2]] y", "x a] y", "x b] y"),
        ("((cat [a:b:2] dog)", "((cat a dog)", "((cat b dog)"),
        ("[a:b] [c:d:2]", "[a:b] c", "[a:b] d"),
        ("(a:[b:c:2])", "(a:b)", "(a:c)"),
        ("[a\\:b:c\\[:2]", "a\\:b", "c\\["),
        ("[(x):2:2]", "(x)", "2"),
    ] {
        let want = [(2, first.to_owned()), (5, second.to_owned())];
        assert_eq!(sections(prompt, 5), want, "{prompt}");
    }
}

#[test]
fn changes_before_and_behind_the_run() {
    let change = |when: &str| sections(&format!("[a:b:{when}]"), 5);
    let text = |section: (usize, &str)| (section.0, section.1.to_owned());
    for when in ["0", "-1", "0.1", "-.5"] {
        assert_eq!(change(when), [text((5, "b"))], "{when}");
    }
    for when in ["5", "7", "1.0", "1e9", "1e999"] {
        assert_eq!(change(when), [text((5, "a"))], "{when}");
    }
    for when in ["2", "+2", " 2 ", "0.4", "2e0", "0.59"] {
        assert_eq!(change(when), [text((2, "a")), text((5, "b"))], "{when}");
    }
}

#[test]
fn texts_that_come_again_are_one() {
    let schedule = read("[a|b|a|b] [c::999]", 1000).unwrap();
    assert_eq!((schedule.texts.len(), schedule.sections.len()), (4 - 1, 1000));
}

#[test]
fn limits() {
    let nested = |depth: usize| format!("{}a{}", "[".repeat(depth), "]".repeat(depth));
    read(&nested(MAX_NESTING), 5).unwrap();
    assert_eq!(read(&nested(MAX_NESTING + 1), 5), Err(PromptError::Nesting));
    let words: Vec<String> = (0..=MAX_TEXTS).map(|word| word.to_string()).collect();
    let all = format!("[{}]", words.join("|"));
    read(&all, MAX_TEXTS).unwrap();
    read(&"[a:1]".repeat(MAX_FORMS), 5).unwrap();
    assert_eq!(read(&"[a:1]".repeat(MAX_FORMS + 1), 5), Err(PromptError::Forms));
    assert_eq!(read(&all, MAX_TEXTS + 1), Err(PromptError::Texts));
}
