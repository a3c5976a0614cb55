//! Reading JSON so that every violation of one body is reported at once, in the original's codes.
//!
//! serde stops at the first error; Marathon tells all of them, each with its path
//! (docs/compat/marathon.md, "Errors"). Hence this small reader over `serde_json::Value`: each
//! value knows where it stands (`At`), each failure is noted and reading goes on with `None`.
//! An absent key and a `null` are the same everywhere; unknown keys are ignored.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use serde::{Serialize, ser::SerializeSeq as _};
use serde_json::{Map, Value};

/// Violations by path, in the order they were found; one path told twice is one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<(String, Vec<String>)>);

impl Violations {
    /// Notes one violation.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        let (path, text) = (path.into(), text.into());
        match self.0.iter_mut().find(|(p, _)| *p == path) {
            Some((_, texts)) if texts.contains(&text) => {}
            Some((_, texts)) => texts.push(text),
            None => self.0.push((path, vec![text])),
        }
    }

    /// Notes `text` at `path` unless `holds`.
    pub fn check(&mut self, holds: bool, path: impl Into<String>, text: impl Into<String>) {
        if !holds {
            self.add(path, text);
        }
    }

    /// Takes over `other`, each path below `prefix` (`/` alone names the prefix itself).
    pub fn add_below(&mut self, prefix: &str, other: Self) {
        for (path, texts) in other.0 {
            let rest = if path == "/" && !prefix.is_empty() { "" } else { path.as_str() };
            for text in texts {
                self.add(format!("{prefix}{rest}"), text);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` when there is none.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl Serialize for Violations {
    /// `[{"path":…,"errors":[…]}]`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            path: &'a str,
            errors: &'a [String],
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (path, errors) in &self.0 {
            list.serialize_element(&Entry { path, errors })?;
        }
        list.end()
    }
}

/// A place in a JSON document: `/groups(0)/apps(1)/id`, `/` for the whole.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn inner(path: &Path<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match path {
                Path::Root => Ok(()),
                Path::Key(parent, key) => {
                    inner(parent, f)?;
                    write!(f, "/{key}")
                }
                Path::Item(parent, index) => {
                    inner(parent, f)?;
                    write!(f, "({index})")
                }
            }
        }
        if matches!(self, Path::Root) { f.write_str("/") } else { inner(self, f) }
    }
}

/// One value and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub value: &'a Value,
    path: &'a Path<'a>,
    found: &'a RefCell<Violations>,
}

/// A type that is read from one value. `None` after noting at least one violation.
pub trait Read: Sized {
    fn read(at: At<'_>) -> Option<Self>;
}

/// Reads a whole document.
pub fn read<T: Read>(value: &Value) -> Result<T, Violations> {
    let found = RefCell::default();
    let read = T::read(At { value, path: &Path::Root, found: &found });
    match (read, found.into_inner()) {
        (Some(read), found) if found.is_empty() => Ok(read),
        (_, found) => Err(found),
    }
}

impl<'a> At<'a> {
    /// Notes a violation here.
    pub fn fail<T>(self, code: impl Into<String>) -> Option<T> {
        self.found.borrow_mut().add(self.path.to_string(), code);
        None
    }

    /// Text of `min..=max` characters.
    pub fn text(self, min: usize, max: usize) -> Option<String> {
        let Value::String(text) = self.value else { return self.fail("error.expected.jsstring") };
        let n = text.chars().count();
        if n < min {
            return self.fail("error.minLength");
        }
        if n > max {
            return self.fail("error.maxLength");
        }
        Some(text.clone())
    }

    /// A number of `min..=max`.
    pub fn number(self, min: f64, max: f64) -> Option<f64> {
        let Some(number) = self.value.as_f64() else { return self.fail("error.expected.jsnumber") };
        self.within(number, min, max)
    }

    /// A whole number of `min..=max`; `128.0` counts as whole.
    pub fn whole<T: TryFrom<i64>>(self, min: i64, max: i64) -> Option<T> {
        let number = match self.value.as_i64() {
            Some(number) => Some(number),
            #[allow(clippy::cast_possible_truncation)] // whole and within 53 bits, just checked
            None => {
                self.value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64)
            }
        };
        let Some(number) = number else { return self.fail("error.expected.jsnumber") };
        if number < min {
            return self.fail("error.min");
        }
        match T::try_from(number) {
            Ok(value) if number <= max => Some(value),
            _ => self.fail("error.max"),
        }
    }

    fn within(self, number: f64, min: f64, max: f64) -> Option<f64> {
        if number < min {
            return self.fail("error.min");
        }
        if number > max {
            return self.fail("error.max");
        }
        Some(number)
    }

    /// One of the names, in any letter case.
    pub fn one_of<T: Copy>(self, names: &[(&str, T)]) -> Option<T> {
        let Value::String(text) = self.value else { return self.fail("error.expected.jsstring") };
        match names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Some(*value),
            None => self.fail("error.unknown.enum.literal"),
        }
    }

    /// A list; every element is read even after one has failed.
    pub fn list<T>(self, each: impl Fn(At<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else { return self.fail("error.expected.jsarray") };
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(i, value)| {
                each(At { value, path: &Path::Item(self.path, i), found: self.found })
            })
            .collect();
        read.into_iter().collect()
    }

    /// A map from text.
    pub fn map<T>(self, each: impl Fn(At<'_>) -> Option<T>) -> Option<BTreeMap<String, T>> {
        let Value::Object(items) = self.value else { return self.fail("error.expected.jsobject") };
        let read: Vec<Option<(String, T)>> = items
            .iter()
            .map(|(key, value)| {
                let at = At { value, path: &Path::Key(self.path, key), found: self.found };
                each(at).map(|value| (key.clone(), value))
            })
            .collect();
        read.into_iter().collect()
    }

    /// An object with fields.
    pub fn object(self) -> Option<Object<'a>> {
        match self.value {
            Value::Object(map) => Some(Object { map, path: self.path, found: self.found }),
            _ => self.fail("error.expected.jsobject"),
        }
    }
}

/// An object whose fields are read one by one.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    pub map: &'a Map<String, Value>,
    path: &'a Path<'a>,
    found: &'a RefCell<Violations>,
}

impl Object<'_> {
    /// A field that may be absent.
    pub fn opt<T: Read>(&self, key: &str) -> Option<T> {
        self.opt_with(key, T::read)
    }

    /// As `opt`, with bounds of its own.
    pub fn opt_with<T>(&self, key: &str, read: impl FnOnce(At<'_>) -> Option<T>) -> Option<T> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        read(At { value, path: &Path::Key(self.path, key), found: self.found })
    }

    /// A field that must be there, of an object without bounds.
    pub fn need<T: Read>(&self, key: &str) -> Option<T> {
        self.need_with(key, T::read)
    }

    /// As `need`, with bounds of its own.
    pub fn need_with<T>(&self, key: &str, read: impl FnOnce(At<'_>) -> Option<T>) -> Option<T> {
        self.must(key, read, || "error.path.missing".to_owned())
    }

    /// A field that must be there, of a large object or one with bounds: the original words the
    /// lack of it differently for those.
    pub fn defined<T>(&self, key: &str, read: impl FnOnce(At<'_>) -> Option<T>) -> Option<T> {
        self.must(key, read, || {
            let object = serde_json::to_string(self.map).unwrap_or_default();
            format!("'{key}' is undefined on object: {object}")
        })
    }

    fn must<T>(
        &self,
        key: &str,
        read: impl FnOnce(At<'_>) -> Option<T>,
        missing: impl FnOnce() -> String,
    ) -> Option<T> {
        if self.map.get(key).is_none_or(Value::is_null) {
            self.found.borrow_mut().add(Path::Key(self.path, key).to_string(), missing());
            return None;
        }
        self.opt_with(key, read)
    }
}

impl Read for String {
    fn read(at: At<'_>) -> Option<Self> {
        at.text(0, usize::MAX)
    }
}

impl Read for bool {
    fn read(at: At<'_>) -> Option<Self> {
        match at.value {
            Value::Bool(value) => Some(*value),
            _ => at.fail("error.expected.jsboolean"),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(at: At<'_>) -> Option<Self> {
        at.list(T::read)
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(at: At<'_>) -> Option<Self> {
        at.map(T::read)
    }
}

/// A number as the answers print it: whole ones without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Num(pub f64);

impl Serialize for Num {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[allow(clippy::cast_possible_truncation)] // whole and within 53 bits, just checked
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl fmt::Display for Num {
    /// With a fraction, as the JVM prints a double: `1.0`, `0.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Pair;

    impl Read for Pair {
        fn read(at: At<'_>) -> Option<Self> {
            let o = at.object()?;
            let a = o.need::<String>("a");
            let b = o.opt_with("b", |at| at.whole::<u16>(1, 9));
            let list = o.opt_with("list", |at| at.list(|at| at.number(0.0, 1.0)));
            o.defined("d", bool::read);
            let _ = (a, b, list);
            Some(Self)
        }
    }

    fn found(json: &str) -> String {
        let value = serde_json::from_str(json).unwrap();
        serde_json::to_string(&read::<Pair>(&value).map(|_| ()).unwrap_err()).unwrap()
    }

    #[test]
    fn every_violation_is_told_with_its_path() {
        assert_eq!(
            found(r#"{"b":10,"list":[0.5,"x",2]}"#),
            r#"[{"path":"/a","errors":["error.path.missing"]},{"path":"/b","errors":["error.max"]},{"path":"/list(1)","errors":["error.expected.jsnumber"]},{"path":"/list(2)","errors":["error.max"]},{"path":"/d","errors":["'d' is undefined on object: {\"b\":10,\"list\":[0.5,\"x\",2]}"]}]"#
        );
        assert_eq!(found("3"), r#"[{"path":"/","errors":["error.expected.jsobject"]}]"#);
        assert_eq!(
            found(r#"{"a":1,"b":1.5,"d":null}"#),
            r#"[{"path":"/a","errors":["error.expected.jsstring"]},{"path":"/b","errors":["error.expected.jsnumber"]},{"path":"/d","errors":["'d' is undefined on object: {\"a\":1,\"b\":1.5,\"d\":null}"]}]"#
        );
    }

    #[test]
    fn numbers_print_whole_when_they_are() {
        let text = serde_json::to_string(&[Num(128.0), Num(0.1), Num(1.15)]).unwrap();
        assert_eq!(text, "[128,0.1,1.15]");
        assert_eq!(Num(1.0).to_string(), "1.0");
    }
}
