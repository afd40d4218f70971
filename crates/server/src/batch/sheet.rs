//! `index.html`: the contact sheet, each picture beside its new image.

use std::fmt::Write;

use super::summary::{Entry, Outcome, Summary};

/// Where the picture of an output lies, as the model saw it: relative to the output folder.
pub(super) fn input_name(output: &str) -> String {
    let stem = output.rsplit_once("-diffusion.").map_or(output, |(stem, _)| stem);
    format!("inputs/{stem}.png")
}

const STYLE: &str = "\
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 1200px; padding: 2rem 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
header p { color: GrayText; margin: .25rem 0 2rem; }
main { display: grid; gap: 2rem 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
figure { margin: 0; }
.pair { align-items: start; display: grid; gap: .5rem; grid-template-columns: 1fr 1fr; }
.pair img { border-radius: 6px; display: block; height: auto; width: 100%; }
figcaption { margin-top: .5rem; overflow-wrap: anywhere; }
figcaption small { color: GrayText; display: block; }
.failed { border: 1px solid #c33; border-radius: 6px; padding: 1rem; }
";

/// The page. It refers to the images by relative path and to nothing else.
pub(super) fn html(summary: &Summary) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    page += "<meta name=\"viewport\" content=\"width=device-width\">\n";
    page += "<title>Diffusion run</title>\n";
    let _ = writeln!(page, "<style>\n{STYLE}</style>\n<header>\n<h1>Diffusion run</h1>");
    let _ = writeln!(
        page,
        "<p>{} of {} images in {:.1} s · {} · strength {} · seed {}</p>",
        summary.succeeded(),
        summary.inputs,
        summary.total_seconds,
        escape(&summary.scheduler),
        summary.strength,
        summary.seed,
    );
    page += "</header>\n<main>\n";
    for entry in &summary.images {
        match &entry.outcome {
            Outcome::Done { file, size, steps, guidance, .. } => {
                let asked = format!("{steps} steps · guidance {guidance}");
                pair(&mut page, entry, file, *size, &asked);
            }
            Outcome::Failed { error } => {
                let (input, error) = (escape(&entry.input), escape(error));
                let _ = writeln!(
                    page,
                    "<figure class=\"failed\">{error}<figcaption><small>{input}</small></figcaption></figure>"
                );
            }
        }
    }
    page + "</main>\n</html>\n"
}

fn pair(page: &mut String, entry: &Entry, output: &str, (width, height): (u32, u32), asked: &str) {
    let prompt = escape(&entry.prompt);
    let name = escape(&entry.input);
    page.push_str("<figure>\n<div class=\"pair\">\n");
    for (path, alt) in
        [(input_name(output), format!("Picture: {name}")), (output.into(), prompt.clone())]
    {
        let _ = writeln!(
            page,
            "<img src=\"{}\" alt=\"{alt}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\">",
            link(&path)
        );
    }
    let _ = writeln!(
        page,
        "</div>\n<figcaption>{prompt}<small>{name} · {} · {asked} · seed {} · {:.1} s</small></figcaption>\n</figure>",
        escape(&entry.model),
        entry.seed,
        entry.seconds,
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A relative path as a URL: every byte that could mean something else is percent-encoded.
fn link(path: &str) -> String {
    let mut url = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_as_distinct_as_outputs() {
        assert_eq!(input_name("x-diffusion.png"), "inputs/x.png");
        assert_eq!(input_name("x-diffusion.webp"), "inputs/x.png");
        assert_eq!(input_name("x-diffusion.png-diffusion.png"), "inputs/x-diffusion.png.png");
    }

    #[test]
    fn names_and_prompts_cannot_become_markup() {
        assert_eq!(escape("<b a=\"x\">&"), "&lt;b a=&quot;x&quot;&gt;&amp;");
        assert_eq!(link("a b/\"ü#?.png"), "a%20b/%22%C3%BC%23%3F.png");
    }

    /// The sizes that the page states keep the place; only the width may be stretched.
    #[test]
    fn pictures_keep_their_shape() {
        let rule = STYLE.lines().find(|line| line.starts_with(".pair img")).unwrap();
        assert!(rule.contains("height: auto") && rule.contains("width: 100%"), "{rule}");
    }
}
