//! Path ids of apps, pods and groups: `/`, `/shop`, `/shop/web`.
//!
//! A `PathId` is absolute and canonical: it starts with `/`, has no empty segment, no `.` or `..`
//! and no trailing `/`. Which characters a segment may hold is the dialect's business
//! (docs/compat/marathon.md, "App model").

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The id of an app or a pod.
pub type AppId = PathId;
/// The id of a group; the root is `/`.
pub type GroupId = PathId;

/// An absolute, canonical path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PathId(Arc<str>);

impl PathId {
    /// The root group.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// `text` made absolute below the root. Double and trailing slashes are dropped, `.` and `..`
    /// resolved (never above the root).
    pub fn parse(text: &str) -> Self {
        Self::parse_below(text, &Self::root())
    }

    /// As `parse`; a relative `text` is taken below `base`.
    pub fn parse_below(text: &str, base: &Self) -> Self {
        let mut segments: Vec<&str> =
            if text.starts_with('/') { Vec::new() } else { base.segments().collect() };
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                name => segments.push(name),
            }
        }
        Self(format!("/{}", segments.join("/")).into())
    }

    /// The path as text, with its leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The segments, outermost first; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|s| !s.is_empty())
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.segments().next_back().unwrap_or("")
    }

    /// The enclosing group; the root's parent is the root.
    pub fn parent(&self) -> Self {
        match self.0.rsplit_once('/') {
            Some(("", _)) | None => Self::root(),
            Some((parent, _)) => Self(parent.into()),
        }
    }

    /// All enclosing groups, nearest first, the root last. Empty for the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        let mut next = (!self.is_root()).then(|| self.parent());
        std::iter::from_fn(move || {
            let this = next.take()?;
            next = (!this.is_root()).then(|| this.parent());
            Some(this)
        })
    }

    /// The first segment, the top-level group or the app itself.
    pub fn top(&self) -> Option<&str> {
        self.segments().next()
    }

    /// Whether this path lies strictly below `group`.
    pub fn is_below(&self, group: &Self) -> bool {
        group.is_root() && !self.is_root()
            || self.0.strip_prefix(&*group.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Segments joined by `_`, the form used in instance and task ids: `/grp/app` is `grp_app`.
    pub fn safe(&self) -> String {
        self.segments().collect::<Vec<_>>().join("_")
    }

    /// Segments reversed and joined by `.`, the Mesos task name: `/grp/app` is `app.grp`.
    pub fn task_name(&self) -> String {
        self.segments().rev().collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_canonical() {
        for (text, path) in [
            ("a", "/a"),
            ("/a/b/", "/a/b"),
            ("//a//b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("", "/"),
            ("..", "/"),
        ] {
            assert_eq!(PathId::parse(text).as_str(), path, "{text}");
        }
        assert_eq!(PathId::parse_below("../x", &PathId::parse("/a/b")).as_str(), "/a/x");
    }

    #[test]
    fn relations() {
        let app = PathId::parse("/a/b/c");
        let ancestors: Vec<String> = app.ancestors().map(|a| a.to_string()).collect();
        assert_eq!(ancestors, ["/a/b", "/a", "/"]);
        assert!(app.is_below(&PathId::parse("/a")));
        assert!(app.is_below(&PathId::root()));
        assert!(!PathId::parse("/ab").is_below(&PathId::parse("/a")));
        assert!(!PathId::root().is_below(&PathId::root()));
        assert_eq!((app.safe(), app.task_name()), ("a_b_c".to_owned(), "c.b.a".to_owned()));
        assert_eq!(app.name(), "c");
    }
}
