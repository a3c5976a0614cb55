//! Path patterns: `/v2/apps/{id...}/tasks/{taskId}`.
//!
//! | piece | matches |
//! |---|---|
//! | `text` | that segment |
//! | `{name}` | one segment, decoded |
//! | `{name...}` | one or more segments, each decoded, joined by `/`; fixed pieces may follow |
//! | `{name...}::text` | the same where the last of them ends in `::text` (a slash before it is dropped) |
//!
//! Of several patterns that match, the most specific wins: piece by piece text beats `{name}` beats
//! `{name...}`, then the longer pattern. `Table` sorts by that order once.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::query::percent_decode;

/// Captured values in the order of the pattern.
pub type Params = SmallVec<[(&'static str, String); 3]>;

/// A parsed pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: &'static str,
    pieces: Vec<Piece>,
    rest_at: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    // In order of specificity.
    Text(&'static str),
    One(&'static str),
    Rest { name: &'static str, tail: &'static str },
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Panics
    /// On a pattern that makes no sense; patterns are constants, so a test that builds the table
    /// finds it.
    pub fn new(text: &'static str) -> Self {
        assert!(text.starts_with('/'), "pattern {text:?} must start with a slash");
        let pieces: Vec<_> = segments(text).map(|segment| Piece::parse(text, segment)).collect();
        let is_rest = |piece: &Piece| matches!(piece, Piece::Rest { .. });
        assert!(pieces.iter().filter(|p| is_rest(p)).count() <= 1, "{text:?}: two open ends");
        let rest_at = pieces.iter().position(is_rest);
        Self { text, pieces, rest_at }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &'static str {
        self.text
    }

    /// The captured values when `path` (its segments, still encoded) matches.
    pub fn matches(&self, path: &[&str]) -> Option<Params> {
        let mut params = Params::new();
        let Some(rest_at) = self.rest_at else {
            return (path.len() == self.pieces.len()
                && fixed(&self.pieces, path, &mut params).is_some())
            .then_some(params);
        };
        let n_after = self.pieces.len() - rest_at - 1;
        if path.len() < self.pieces.len() {
            return None;
        }
        let (before, path) = path.split_at(rest_at);
        let (rest, after) = path.split_at(path.len() - n_after);
        fixed(&self.pieces[..rest_at], before, &mut params)?;
        let Piece::Rest { name, tail } = self.pieces[rest_at] else { return None };
        params.push((name, join(rest, tail)?));
        fixed(&self.pieces[rest_at + 1..], after, &mut params)?;
        Some(params)
    }

    /// The more specific pattern sorts first.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        let rank = |piece: &Piece| match piece {
            Piece::Text(_) => 0,
            Piece::One(_) => 1,
            Piece::Rest { tail, .. } if !tail.is_empty() => 2,
            Piece::Rest { .. } => 3,
        };
        let ranks = |p: &Self| p.pieces.iter().map(rank).collect::<Vec<_>>();
        let (mine, theirs) = (ranks(self), ranks(other));
        let shared = mine.len().min(theirs.len());
        mine[..shared].cmp(&theirs[..shared]).then(theirs.len().cmp(&mine.len()))
    }
}

impl Piece {
    fn parse(pattern: &'static str, segment: &'static str) -> Self {
        let Some(inner) = segment.strip_prefix('{') else {
            assert!(!segment.contains(['{', '}']), "{pattern:?}: brace inside a segment");
            return Self::Text(segment);
        };
        let (name, tail) = inner.split_once('}').expect("pattern has an unclosed brace");
        match name.strip_suffix("...") {
            Some(name) => Self::Rest { name, tail },
            None => {
                assert!(tail.is_empty(), "{pattern:?}: text after a brace");
                Self::One(name)
            }
        }
    }
}

/// The segments of a path between slashes, empty ones left out.
pub fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn fixed(pieces: &[Piece], path: &[&str], params: &mut Params) -> Option<()> {
    for (piece, segment) in pieces.iter().zip(path) {
        match piece {
            Piece::Text(text) if *text == *segment || *text == percent_decode(segment) => {}
            Piece::Text(_) | Piece::Rest { .. } => return None,
            Piece::One(name) => params.push((name, percent_decode(segment).into_owned())),
        }
    }
    Some(())
}

fn join(rest: &[&str], tail: &str) -> Option<String> {
    let mut text = String::new();
    for (at, segment) in rest.iter().enumerate() {
        if at > 0 {
            text.push('/');
        }
        text.push_str(&percent_decode(segment));
    }
    if tail.is_empty() {
        return Some(text);
    }
    let name = text.strip_suffix(tail)?.trim_end_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &'static str, path: &str, want: Option<&[&str]>) {
        let path: Vec<_> = segments(path).collect();
        let got = Pattern::new(pattern).matches(&path);
        let got = got.map(|p| p.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        let want = want.map(|w| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(got, want, "{pattern} on {path:?}");
    }

    #[test]
    fn pieces_match_segments() {
        check("/", "/", Some(&[]));
        check("/ping", "/ping", Some(&[]));
        check("/ping", "/pong", None);
        check("/ping", "/ping/x", None);
        check("/d/{id}", "/d/a%2Fb", Some(&["a/b"]));
        check("/d/{id}", "/d", None);
        check("/v2/apps/{id...}", "/v2/apps/a/b/c", Some(&["a/b/c"]));
        check("/v2/apps/{id...}", "/v2/apps//a", Some(&["a"]));
        check("/v2/apps/{id...}", "/v2/apps", None);
        check("/v2/apps/{id...}/tasks/{t}", "/v2/apps/a/b/tasks/7", Some(&["a/b", "7"]));
        check("/v2/apps/{id...}/tasks/{t}", "/v2/apps/tasks/7", None);
        check("/v2/apps/{id...}/tasks", "/v2/apps/tasks/tasks", Some(&["tasks"]));
        check("/v2/pods/{id...}::status", "/v2/pods/a/b::status", Some(&["a/b"]));
        check("/v2/pods/{id...}::status", "/v2/pods/a/b/::status", Some(&["a/b"]));
        check("/v2/pods/{id...}::status", "/v2/pods/::status", None);
        check("/v2/pods/{id...}::versions/{v}", "/v2/pods/a::versions/7", Some(&["a", "7"]));
    }

    #[test]
    fn the_more_specific_pattern_sorts_first() {
        let mut patterns: Vec<_> = [
            "/v2/apps/{id...}",
            "/v2/apps/{id...}/tasks",
            "/v2/{kind}/x",
            "/v2/apps/{id...}/tasks/{t}",
            "/v2/apps",
            "/v2/apps/{id...}::status",
            "/{any...}",
        ]
        .map(Pattern::new)
        .into();
        patterns.sort_by(Pattern::by_specificity);
        let sorted: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
        assert_eq!(
            sorted,
            [
                "/v2/apps/{id...}::status",
                "/v2/apps/{id...}/tasks/{t}",
                "/v2/apps/{id...}/tasks",
                "/v2/apps/{id...}",
                "/v2/apps",
                "/v2/{kind}/x",
                "/{any...}",
            ]
        );
    }
}
