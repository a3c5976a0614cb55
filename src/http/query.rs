//! Query strings, form bodies, percent-coding and cookies.

use std::borrow::Cow;

/// The parameters of a query string in their order, decoded; a key may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=1&b&c=x%20y` (also a form body: `+` is a blank).
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(decode_pair).collect(),
        )
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Every value of `key` in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Whether a switch is on: `key` alone or `key=true`, any case.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| v.is_empty() || v.eq_ignore_ascii_case("true"))
    }

    /// Whether `key` is there at all.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn decode_pair((key, value): (&str, &str)) -> (String, String) {
    let decode = |text: &str| {
        let text: Cow<'_, str> =
            if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
        percent_decode(&text).into_owned()
    };
    (decode(key), decode(value))
}

/// Resolves `%XX`; a broken escape stays as it is, bytes that are not UTF-8 become U+FFFD.
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// Escapes everything outside RFC 3986's unreserved characters.
pub fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// The value of cookie `name` in a `Cookie` header.
pub fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_decode_and_keep_repeated_keys() {
        let query = Query::parse("embed=apps.tasks&embed=apps.counts&force&id=%2Fa%20b+c&x=1%2");
        assert_eq!(query.all("embed").collect::<Vec<_>>(), ["apps.tasks", "apps.counts"]);
        assert!(query.flag("force") && !query.flag("id") && !query.has("no"));
        assert_eq!(query.get("id"), Some("/a b c"));
        assert_eq!(query.get("x"), Some("1%2"));
        assert!(Query::parse("").is_empty());
    }

    #[test]
    fn percent_coding_goes_both_ways() {
        for text in ["", "plain", "a/b c?ü%", "%zz"] {
            assert_eq!(percent_decode(&percent_encode(text)), text);
        }
        assert_eq!(percent_decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn cookies_are_found_among_others() {
        let header = "theme=dark; dcos-acs-auth-cookie=a.b.c; x=\"q\"";
        assert_eq!(cookie(header, "dcos-acs-auth-cookie"), Some("a.b.c"));
        assert_eq!(cookie(header, "x"), Some("q"));
        assert_eq!(cookie(header, "acs"), None);
    }
}
