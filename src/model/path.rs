//! Path ids of apps, pods and groups: `/`, `/shop`, `/shop/web`.
//!
//! A `PathId` is absolute and canonical: it starts with `/`, has no empty segment, no `.` or `..`
//! and no trailing `/`. Which characters a segment may hold is the dialect's business
//! (docs/compat/marathon.md, "App model").

use std::{fmt, ops::Bound, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::base::limit::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};

/// The id of an app or a pod.
pub type AppId = PathId;
/// The id of a group; the root is `/`.
pub type GroupId = PathId;

/// A path that is longer or deeper than any id may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathTooLarge {
    #[error("must not be longer than {PATH_BYTES_MAX} bytes")]
    Long,
    #[error("must not have more than {PATH_SEGMENTS_MAX} segments")]
    Deep,
}

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

    /// Whether the path may be an id. Nothing longer or deeper gets into the state, so that a walk
    /// over groups, which goes as deep as ids do, ends early.
    pub fn check_size(&self) -> Result<(), PathTooLarge> {
        if self.0.len() > PATH_BYTES_MAX {
            return Err(PathTooLarge::Long);
        }
        if self.segments().count() > PATH_SEGMENTS_MAX {
            return Err(PathTooLarge::Deep);
        }
        Ok(())
    }

    /// The range that everything strictly below lies in, in the order of paths: a walk over an
    /// ordered table need not touch the rest.
    pub fn range_below(&self) -> (Bound<Self>, Bound<Self>) {
        let base = if self.is_root() { "" } else { &*self.0 };
        let (from, to) = (format!("{base}/"), format!("{base}0")); // `0` follows `/`
        (Bound::Excluded(Self(from.into())), Bound::Excluded(Self(to.into())))
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
    fn an_id_has_a_size() {
        let of = |n_segments: usize| PathId::parse(&"/a".repeat(n_segments)).check_size();
        assert_eq!(of(PATH_SEGMENTS_MAX), Ok(()));
        assert_eq!(of(PATH_SEGMENTS_MAX + 1), Err(PathTooLarge::Deep));
        let of = |n_bytes: usize| PathId::parse(&"a".repeat(n_bytes - 1)).check_size();
        assert_eq!((of(PATH_BYTES_MAX), of(PATH_BYTES_MAX + 1)), (Ok(()), Err(PathTooLarge::Long)));
    }

    #[test]
    fn the_range_below_a_path_holds_what_is_below() {
        use std::ops::RangeBounds as _;
        let paths = ["/", "/a", "/a!", "/a-b", "/a.b/c", "/a/b", "/a/b/c", "/a/ ", "/a0", "/b/a"];
        let paths: Vec<PathId> = paths.map(PathId::parse).to_vec();
        for group in &paths {
            for path in &paths {
                let is_in = group.range_below().contains(path);
                assert_eq!(is_in, path.is_below(group), "{path} below {group}");
            }
        }
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
