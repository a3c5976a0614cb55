//! What editors and other tools leave in files, and what it must not break.

/// The text without a byte order mark, with plain line ends. Neither moves a line.
pub fn tidy(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // An end-of-file mark of old editors, and last lines of blanks and tabs, which YAML refuses.
    let end = text.trim_end_matches(['\u{1a}', '\n', '\r', '\t', ' ']).len();
    let rest = if text[end..].contains(['\n', '\r']) { "\n" } else { "" };
    let text = format!("{}{rest}", &text[..end]);
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A file's bytes as text: UTF-8, or UTF-16 with its mark. `None` when it is neither.
pub fn decode(bytes: Vec<u8>) -> Option<String> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        String::from_utf16(&units.collect::<Vec<_>>()).ok()
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => wide(u16::from_le_bytes),
        Some([0xfe, 0xff]) => wide(u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    }
}

/// The line of a tab in the indentation that made YAML fail: at the place of the error, or one of
/// the two before it, where the reader often still was.
pub fn tab(text: &str, line: usize) -> Option<usize> {
    let first = line.saturating_sub(2).max(1);
    let is_indented_by_tab = |text: &str| {
        let indent = text.len() - text.trim_start().len();
        text[..indent].contains('\t') && indent < text.len()
    };
    (1..)
        .zip(text.lines())
        .skip(first - 1)
        .take(line + 1 - first)
        .find(|(_, text)| is_indented_by_tab(text))
        .map(|(line, _)| line)
}

/// What to do about a mistake that is common in JSON written by hand.
pub fn json_hint(error: &serde_json::Error) -> Option<&'static str> {
    let text = error.to_string();
    [
        ("trailing comma", "take the comma before the closing bracket away"),
        ("key must be a string", "JSON has no comments and wants its keys in \"\"; YAML has both"),
        ("trailing characters", "write several apps as a list: [{…}, {…}]"),
        ("control character", "write line breaks inside a text as \\n"),
    ]
    .into_iter()
    .find(|(part, _)| text.contains(part))
    .map(|(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_line_ends_of_other_systems_are_nothing() {
        assert_eq!(tidy("\u{feff}id: /a\r\ncpus: 1\r\n\u{1a}"), "id: /a\ncpus: 1\n");
        let wide: Vec<u8> =
            [0xfeff, 0x69, 0x64].iter().flat_map(|u: &u16| u.to_le_bytes()).collect();
        assert_eq!(decode(wide).as_deref(), Some("id"));
        assert_eq!(decode(vec![0xff, 0x00, 0x80]), None);
        assert_eq!(decode(b"id".to_vec()).as_deref(), Some("id"));
    }

    #[test]
    fn the_tab_that_broke_it_is_found() {
        assert_eq!(tab("a:\n\tb: 1\n", 2), Some(2));
        assert_eq!(tab("a:\n\tb: 1\n", 3), Some(2));
        assert_eq!(tab("a:\n  b:\t1\n", 2), None);
        assert_eq!(tab("a: 1\n\t\n", 2), None);
    }
}
