//! Header fields of both heads: told apart by name, written with the name in lower case.

/// Whether `name` is `usual`, in whatever case. As it is usually written comes first: words are
/// compared faster than letters.
#[inline]
pub fn is(name: &str, usual: &str) -> bool {
    name == usual || name.eq_ignore_ascii_case(usual)
}

/// Where in `whole` its part `part` begins; some place outside of it where it is none.
pub fn offset(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize)
}

/// One header line.
pub fn write(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let at = out.len();
    out.extend_from_slice(name.as_bytes());
    out[at..].make_ascii_lowercase();
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// As `write`, for a line of `head`: in one piece where it stands there as it would be written.
pub fn rewrite(out: &mut Vec<u8>, head: &[u8], name: &str, value: &[u8]) {
    let (start, n_name) = (offset(head, name.as_bytes()), name.len());
    let line = head.get(start..).and_then(|rest| rest.get(..n_name + 2 + value.len() + 2));
    match line {
        Some(line)
            if offset(line, value) == n_name + 2
                && line[n_name..].starts_with(b": ")
                && line.ends_with(b"\r\n") =>
        {
            let at = out.len();
            out.extend_from_slice(line);
            out[at..at + n_name].make_ascii_lowercase();
        }
        _ => write(out, name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_in_any_case() {
        for name in ["Content-Length", "content-length", "CONTENT-LENGTH"] {
            assert!(is(name, "Content-Length"), "{name}");
        }
        assert!(!is("Content-Lengtt", "Content-Length") && !is("Content", "Content-Length"));
    }

    #[test]
    fn a_line_is_written_the_same_wherever_it_lies() {
        for line in
            ["X-Own: a b", "X-Own:a b", "X-Own:  a b", "X-Own: a b ", "x-own: a b", "X-Own:"]
        {
            let head = format!("GET / HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n");
            let (name, value) = line.split_once(':').unwrap();
            let value = value.trim().as_bytes();
            let (mut one, mut two, mut three) = (Vec::new(), b"first".to_vec(), Vec::new());
            let at = head.find(line).unwrap();
            let in_head = &head[at..at + line.len()];
            let (name_there, value_there) = in_head.split_once(':').unwrap();
            rewrite(&mut one, head.as_bytes(), name_there, value_there.trim().as_bytes());
            rewrite(&mut two, head.as_bytes(), name_there, value_there.trim().as_bytes());
            rewrite(&mut three, b"other", name, value);
            let text = String::from_utf8_lossy(value);
            assert_eq!(String::from_utf8(one).unwrap(), format!("x-own: {text}\r\n"), "{line}");
            assert_eq!(String::from_utf8(two).unwrap(), format!("firstx-own: {text}\r\n"));
            assert_eq!(String::from_utf8(three).unwrap(), format!("x-own: {text}\r\n"));
        }
    }

    #[test]
    fn a_part_of_a_value_is_written_without_the_rest() {
        let head = "Content-Length: 5, 5\r\n\r\n";
        let mut out = Vec::new();
        rewrite(&mut out, head.as_bytes(), &head[..14], &head.as_bytes()[16..17]);
        assert_eq!(out, b"content-length: 5\r\n");
    }
}
