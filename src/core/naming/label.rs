//! DNS labels out of the names people give: the rules of the original, so that old names still
//! resolve (docs/compat/dns.md, "Labels").

/// Longest label DNS carries.
pub const LABEL_MAX: usize = 63;

/// Appends `text` as one label of at most `max` characters.
///
/// Lower case; letters and digits stay; `-`, `_` and `.` become `-`; anything else vanishes; no
/// dash at either end. A cut label gives up dashes at its end and takes the next letters and digits
/// instead.
pub fn push_label(text: &str, max: usize, out: &mut String) {
    let start = out.len();
    let mut rest = text.bytes().filter_map(mangle);
    for byte in rest.by_ref() {
        if out.len() == start && byte == b'-' {
            continue;
        }
        out.push(char::from(byte));
        if out.len() - start == max {
            break;
        }
    }
    trim_dashes(start, out);
    for byte in rest.filter(u8::is_ascii_alphanumeric) {
        if out.len() - start >= max {
            break;
        }
        out.push(char::from(byte));
    }
}

/// Appends `text` with each of its dotted parts as a label; parts that come out empty vanish. The
/// last label is kept to `last_max` characters, for a suffix that follows, and the first to
/// `first_max`, for a prefix that stands before it.
pub fn push_labels(text: &str, first_max: usize, last_max: usize, out: &mut String) {
    let start = out.len();
    let mut parts = text.split('.').filter(|p| p.bytes().any(|b| b.is_ascii_alphanumeric()));
    let mut part = parts.next();
    while let Some(now) = part {
        part = parts.next();
        let mut max = LABEL_MAX;
        if out.len() == start {
            max = max.min(first_max);
        } else {
            out.push('.');
        }
        if part.is_none() {
            max = max.min(last_max);
        }
        push_label(now, max, out);
    }
}

fn mangle(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte.to_ascii_lowercase()),
        b'a'..=b'z' | b'0'..=b'9' => Some(byte),
        b'-' | b'_' | b'.' => Some(b'-'),
        _ => None,
    }
}

fn trim_dashes(start: usize, out: &mut String) {
    while out.len() > start && out.ends_with('-') {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label(text: &str) -> String {
        let mut out = String::new();
        push_label(text, LABEL_MAX, &mut out);
        out
    }

    #[test]
    fn labels_follow_the_original() {
        let long = format!("{}.b-{}", "a".repeat(40), "c".repeat(40));
        let long_out = format!("{}-b-{}", "a".repeat(40), "c".repeat(20));
        let dash_at_cut = format!("{}-b-c", "a".repeat(62));
        let dash_at_cut_out = format!("{}b", "a".repeat(62));
        for (text, want) in [
            ("a.b_c", "a-b-c"),
            ("a.b_c@d", "a-b-cd"),
            ("/group/app", "groupapp"),
            ("-x-", "x"),
            ("-lead_x.", "lead-x"),
            ("UPPER", "upper"),
            ("UPPER Case", "uppercase"),
            ("", ""),
            ("@@", ""),
            (&"a".repeat(64), &"a".repeat(63)),
            (&long, &long_out),
            (&dash_at_cut, &dash_at_cut_out),
        ] {
            assert_eq!(label(text), want, "{text}");
        }
    }

    #[test]
    fn dotted_names_keep_their_dots() {
        for (text, want) in
            [("app.sub.outer", "app.sub.outer"), ("a..b_c.-", "a.b-c"), (".", ""), ("A@.B", "a.b")]
        {
            let mut out = String::new();
            push_labels(text, LABEL_MAX, LABEL_MAX, &mut out);
            assert_eq!(out, want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_label_is_one_dns_carries(text in ".{0,100}", max in 1usize..64) {
            let mut out = String::new();
            push_label(&text, max, &mut out);
            prop_assert!(out.len() <= max);
            prop_assert!(out.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')));
            prop_assert!(!out.starts_with('-') && !out.ends_with('-'));
        }
    }
}
