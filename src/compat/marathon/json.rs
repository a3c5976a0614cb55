//! Reading JSON so that every violation of one body is reported at once, in the original's codes.
//!
//! serde stops at the first error; Marathon tells all of them, each with its path
//! (docs/compat/marathon.md, "Errors"). Hence this small reader over `serde_json::Value`: each
//! value knows where it stands (`At`), each failure is noted and reading goes on with `None`.
//! An absent key and a `null` are the same everywhere; unknown keys are ignored.
//!
//! The same readers draw what they take (`draw`): they are led over nothing, and each question they
//! ask leaves its mark. So the schema that is served cannot say anything else than what is checked.

mod sketch;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt, io,
    sync::LazyLock,
};

use serde::{Serialize, ser::SerializeSeq as _};
use serde_json::{Map, Value};

use self::sketch::Sketch;
use crate::base::limit::{LIST_ITEMS_MAX, VIOLATIONS_TOLD_MAX};

/// Bytes of a client's own object repeated in an answer. Enough to recognise it by; a body of many
/// MB whose every level lacks a key would come back many times over.
const ECHO_BYTES_MAX: usize = 4 << 10;

/// Violations by path, in the order they were found; one path told twice is one entry. The first
/// `VIOLATIONS_TOLD_MAX` are kept, of the others only that there are some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    list: Vec<(String, Vec<String>)>,
    by_path: HashMap<String, usize>,
    n_kept: usize,
    has_more: bool,
}

impl Violations {
    /// Notes one violation.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        if self.is_full() {
            self.has_more = true;
            return;
        }
        let (path, text) = (path.into(), text.into());
        let at = *self.by_path.entry(path).or_insert_with_key(|path| {
            self.list.push((path.clone(), Vec::new()));
            self.list.len() - 1
        });
        let texts = &mut self.list[at].1;
        if !texts.contains(&text) {
            texts.push(text);
            self.n_kept += 1;
        }
    }

    /// Whether further violations are only counted as "more": who writes long paths and texts may
    /// spare them.
    pub fn is_full(&self) -> bool {
        self.n_kept >= VIOLATIONS_TOLD_MAX
    }

    /// Notes `text` at `path` unless `holds`.
    pub fn check(&mut self, holds: bool, path: impl Into<String>, text: impl Into<String>) {
        if !holds {
            self.add(path, text);
        }
    }

    /// Takes over `other`, each path below `prefix` (`/` alone names the prefix itself).
    pub fn add_below(&mut self, prefix: &str, other: Self) {
        self.has_more |= other.has_more;
        for (path, texts) in other.list {
            let rest = if path == "/" && !prefix.is_empty() { "" } else { path.as_str() };
            for text in texts {
                self.add(format!("{prefix}{rest}"), text);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each path with its texts, in the order in which they were found.
    pub fn list(&self) -> &[(String, Vec<String>)] {
        &self.list
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
        let mut list = serializer.serialize_seq(None)?;
        for (path, errors) in &self.list {
            list.serialize_element(&Entry { path, errors })?;
        }
        if self.has_more {
            let text = format!("there are more; these are the first {VIOLATIONS_TOLD_MAX}");
            list.serialize_element(&Entry { path: "/", errors: &[text] })?;
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
    /// Where a reader only draws what it takes. Every question is then answered with `None`.
    sketch: Option<&'a Sketch>,
}

/// A type that is read from one value. `None` after noting at least one violation.
pub trait Read: Sized {
    fn read(at: At<'_>) -> Option<Self>;
}

/// Reads a whole document.
pub fn read<T: Read>(value: &Value) -> Result<T, Violations> {
    let found = RefCell::default();
    let read = T::read(At { value, path: &Path::Root, found: &found, sketch: None });
    match (read, found.into_inner()) {
        (Some(read), found) if found.is_empty() => Ok(read),
        (_, found) => Err(found),
    }
}

/// The JSON schema of what a reader takes.
pub fn draw<T>(reader: impl FnOnce(At<'_>) -> Option<T>) -> Value {
    let (sketch, found) = (Sketch::default(), RefCell::default());
    reader(At { value: &Value::Null, path: &Path::Root, found: &found, sketch: Some(&sketch) });
    sketch.into_schema()
}

/// What an object holds over which a reader is led that draws.
static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl<'a> At<'a> {
    /// Goes on where there is a value, and leaves a mark where there is none.
    fn ask(self, mark: impl FnOnce(&Sketch)) -> Option<()> {
        match self.sketch {
            Some(sketch) => {
                mark(sketch);
                None
            }
            None => Some(()),
        }
    }

    /// One form or the other, by what is there.
    pub fn either<T>(
        self,
        is_first: impl FnOnce(&Value) -> bool,
        first: impl FnOnce(At<'_>) -> Option<T>,
        second: impl FnOnce(At<'_>) -> Option<T>,
    ) -> Option<T> {
        let Some(sketch) = self.sketch else {
            return if is_first(self.value) { first(self) } else { second(self) };
        };
        let forms = [Sketch::default(), Sketch::default()];
        first(At { sketch: Some(&forms[0]), ..self });
        second(At { sketch: Some(&forms[1]), ..self });
        sketch.any_of(forms);
        None
    }

    /// Notes a violation here.
    pub fn fail<T>(self, code: impl Into<String>) -> Option<T> {
        let mut found = self.found.borrow_mut();
        let path = if found.is_full() { String::new() } else { self.path.to_string() };
        found.add(path, code);
        None
    }

    /// Text of `min..=max` characters.
    pub fn text(self, min: usize, max: usize) -> Option<String> {
        self.ask(|sketch| sketch.text(min, max))?;
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
        self.ask(|sketch| sketch.number(min, max))?;
        let Some(number) = self.value.as_f64() else { return self.fail("error.expected.jsnumber") };
        self.within(number, min, max)
    }

    /// A whole number of `min..=max`; `128.0` counts as whole.
    pub fn whole<T: TryFrom<i64>>(self, min: i64, max: i64) -> Option<T> {
        self.ask(|sketch| sketch.whole(min, max))?;
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
        self.ask(|sketch| sketch.one_of(names.iter().map(|(name, _)| *name)))?;
        let Value::String(text) = self.value else { return self.fail("error.expected.jsstring") };
        match names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Some(*value),
            None => self.fail("error.unknown.enum.literal"),
        }
    }

    /// A list; every element is read even after one has failed.
    pub fn list<T>(self, each: impl Fn(At<'_>) -> Option<T>) -> Option<Vec<T>> {
        self.list_of(LIST_ITEMS_MAX, each)
    }

    /// As `list`, of at most `max` elements.
    pub fn list_of<T>(self, max: usize, each: impl Fn(At<'_>) -> Option<T>) -> Option<Vec<T>> {
        self.ask(|sketch| {
            let item = Sketch::default();
            each(At { sketch: Some(&item), ..self });
            sketch.list(max, item);
        })?;
        let Value::Array(items) = self.value else { return self.fail("error.expected.jsarray") };
        if items.len() > max {
            return self.fail(too_many(items.len(), max));
        }
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(i, value)| each(At { value, path: &Path::Item(self.path, i), ..self }))
            .collect();
        read.into_iter().collect()
    }

    /// A map from text.
    pub fn map<T>(self, each: impl Fn(At<'_>) -> Option<T>) -> Option<BTreeMap<String, T>> {
        self.ask(|sketch| {
            let value = Sketch::default();
            each(At { sketch: Some(&value), ..self });
            sketch.map(LIST_ITEMS_MAX, value);
        })?;
        let Value::Object(items) = self.value else { return self.fail("error.expected.jsobject") };
        if items.len() > LIST_ITEMS_MAX {
            return self.fail(too_many(items.len(), LIST_ITEMS_MAX));
        }
        let read: Vec<Option<(String, T)>> = items
            .iter()
            .map(|(key, value)| {
                let at = At { value, path: &Path::Key(self.path, key), ..self };
                each(at).map(|value| (key.clone(), value))
            })
            .collect();
        read.into_iter().collect()
    }

    /// An object with fields.
    pub fn object(self) -> Option<Object<'a>> {
        let Self { path, found, sketch, .. } = self;
        match self.value {
            Value::Object(map) => Some(Object { map, path, found, sketch }),
            _ if sketch.is_some() => {
                sketch?.object();
                Some(Object { map: &NOTHING, path, found, sketch })
            }
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
    sketch: Option<&'a Sketch>,
}

impl Object<'_> {
    /// A field that may be absent.
    pub fn opt<T: Read>(&self, key: &str) -> Option<T> {
        self.opt_with(key, T::read)
    }

    /// As `opt`, with bounds of its own.
    pub fn opt_with<T>(&self, key: &str, read: impl FnOnce(At<'_>) -> Option<T>) -> Option<T> {
        if let Some(sketch) = self.sketch {
            return self.draw(sketch, key, false, read);
        }
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        let path = &Path::Key(self.path, key);
        read(At { value, path, found: self.found, sketch: None })
    }

    /// Leaves the mark of a field.
    fn draw<T>(
        &self,
        sketch: &Sketch,
        key: &str,
        is_needed: bool,
        read: impl FnOnce(At<'_>) -> Option<T>,
    ) -> Option<T> {
        let (below, path) = (Sketch::default(), &Path::Key(self.path, key));
        read(At { value: &Value::Null, path, found: self.found, sketch: Some(&below) });
        sketch.property(key, is_needed, below);
        None
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
        self.must(key, read, || format!("'{key}' is undefined on object: {}", echo(self.map)))
    }

    fn must<T>(
        &self,
        key: &str,
        read: impl FnOnce(At<'_>) -> Option<T>,
        missing: impl FnOnce() -> String,
    ) -> Option<T> {
        if let Some(sketch) = self.sketch {
            return self.draw(sketch, key, true, read);
        }
        if self.map.get(key).is_none_or(Value::is_null) {
            let mut found = self.found.borrow_mut();
            if found.is_full() {
                found.add("", "");
            } else {
                found.add(Path::Key(self.path, key).to_string(), missing());
            }
            return None;
        }
        self.opt_with(key, read)
    }
}

fn too_many(n: usize, max: usize) -> String {
    format!("has {n} elements, the maximum is {max}")
}

/// The start of an object as text.
fn echo(map: &Map<String, Value>) -> String {
    struct Short(Vec<u8>);
    impl io::Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() + bytes.len() > ECHO_BYTES_MAX {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut text = Short(Vec::new());
    let whole = serde_json::to_writer(&mut text, map).is_ok();
    let text = String::from_utf8_lossy(&text.0).into_owned();
    if whole { text } else { format!("{text}…") }
}

impl Read for String {
    fn read(at: At<'_>) -> Option<Self> {
        at.text(0, usize::MAX)
    }
}

impl Read for bool {
    fn read(at: At<'_>) -> Option<Self> {
        at.ask(Sketch::boolean)?;
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
mod tests;
