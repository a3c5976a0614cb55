//! App definitions in files: JSON or YAML, one or several, and where in the file a field stands.
//!
//! The server names a broken field by its path (`/container/docker/image`); people look for a line.
//! `Source::locate` walks the text again along that path with a deserializer that stops with an
//! error at the wanted value: the position of that error is the position of the value.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{
    editor,
    error::{CliError, Outcome},
    foreign, group,
    keys::Unknown,
};

/// A text with definitions.
#[derive(Debug)]
pub struct Source {
    /// As it was named on the command line.
    pub name: String,
    text: String,
    json: bool,
}

/// One definition and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub app: Value,
    /// Number of the YAML document, from 0.
    document: usize,
    /// The way to it inside the document, when it stands in a list or a group.
    path: Vec<String>,
}

/// Line and column, from 1.
pub type Place = (usize, usize);

impl Source {
    /// Reads every definition of a text.
    pub fn parse(name: &str, text: &str) -> Outcome<(Self, Vec<Definition>)> {
        let (source, definitions) = Self::read(name, text)?;
        let mut apps = Vec::new();
        for definition in definitions {
            source.expect_app_or_group(&definition)?;
            match group::is_group(&definition.app) {
                true => apps.extend(source.apps_of(definition)?),
                false => apps.push(definition),
            }
        }
        if apps.is_empty() {
            return Err(CliError::usage(format!("{name}: there is no app in it")));
        }
        Ok((source, apps))
    }

    /// The pods of a text.
    pub fn parse_pods(name: &str, text: &str) -> Outcome<(Self, Vec<Definition>)> {
        let (source, pods) = Self::read(name, text)?;
        for pod in &pods {
            let is_pod = pod.app.get("containers").is_some_and(Value::is_array);
            if !(is_pod && pod.app.get("id").is_some_and(Value::is_string)) {
                let place = source.place_text(pod, "");
                let error = CliError::usage(format!("{place}: this is no definition of a pod"));
                let hint = "a pod has an id and containers; apps are deployed by: tepui app deploy";
                return Err(error.hint(hint));
            }
        }
        if pods.is_empty() {
            return Err(CliError::usage(format!("{name}: there is no pod in it")));
        }
        Ok((source, pods))
    }

    fn read(name: &str, text: &str) -> Outcome<(Self, Vec<Definition>)> {
        let text = editor::tidy(text);
        let json = text.trim_start().starts_with(['{', '[']);
        let source = Self { name: name.to_owned(), text, json };
        let mut definitions = Vec::new();
        for (document, value) in source.documents()?.into_iter().enumerate() {
            let at = |app, path: Vec<String>| Definition { app, document, path };
            match value {
                Value::Null => {}
                Value::Array(list) => {
                    for (position, app) in list.into_iter().enumerate() {
                        definitions.push(at(app, vec![position.to_string()]));
                    }
                }
                app => definitions.push(at(app, Vec::new())),
            }
        }
        Ok((source, definitions))
    }

    fn documents(&self) -> Outcome<Vec<Value>> {
        let broken = |place: Option<Place>, error: &dyn fmt::Display| {
            let at = place.map(|(l, c)| format!(":{l}:{c}")).unwrap_or_default();
            CliError::usage(format!("{}{at}: {error}", self.name))
        };
        if self.json {
            let value = serde_json::from_str(&self.text);
            let value = value.map_err(|e| {
                let error = broken(Some((e.line(), e.column())), &e);
                match editor::json_hint(&e) {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            })?;
            return Ok(vec![value]);
        }
        serde_yaml::Deserializer::from_str(&self.text)
            .map(|document| {
                serde::Deserialize::deserialize(document).map_err(|e: serde_yaml::Error| {
                    let place = e.location().map(|l| (l.line(), l.column()));
                    match editor::tab(&self.text, place.map_or(0, |(line, _)| line)) {
                        Some(line) => broken(Some((line, 1)), &"a tab stands in the indentation")
                            .hint("YAML is indented with blanks; replace each tab by two"),
                        None => broken(place, &e),
                    }
                })
            })
            .collect()
    }

    /// The apps of a group as definitions of their own.
    fn apps_of(&self, group: Definition) -> Outcome<Vec<Definition>> {
        let apps = group::apps(&group.app);
        let apps = apps.map_err(|(path, problem)| {
            CliError::usage(format!("{}: {problem}", self.place_text(&group, &path)))
        })?;
        let inside = |path: Vec<String>| group.path.iter().cloned().chain(path).collect();
        let document = group.document;
        Ok(apps
            .into_iter()
            .map(|(app, path)| Definition { app, document, path: inside(path) })
            .collect())
    }

    /// What the server would not even know where to put, and what belongs to another system.
    fn expect_app_or_group(&self, definition: &Definition) -> Outcome {
        let problem = match foreign::recognise(&definition.app) {
            Some(foreign) => (foreign.what, foreign.details, Some(foreign.hint)),
            None => match &definition.app {
                Value::Object(app) if app.get("id").is_some_and(Value::is_string) => return Ok(()),
                Value::Object(_) => ("an app needs an id, as /web".to_owned(), Vec::new(), None),
                _ => {
                    let hint = "an app is an object such as: {id: /web, cmd: ./serve, cpus: 0.1}";
                    ("this is no app definition".to_owned(), Vec::new(), Some(hint.to_owned()))
                }
            },
        };
        let (what, details, hint) = problem;
        let message = format!("{}: {what}", self.place_text(definition, ""));
        Err(CliError { details, hint, ..CliError::usage(message) })
    }

    /// Refuses keys nobody would look at.
    pub fn expect_known_keys(
        &self,
        definitions: &[Definition],
        (what, keys_of): (&str, fn(&Value) -> Vec<Unknown>),
    ) -> Outcome {
        let mut details = Vec::new();
        for definition in definitions {
            for unknown in keys_of(&definition.app) {
                let place = match self.seek(definition, &unknown.path, true) {
                    Some((line, _)) => format!("{}:{line}", self.name),
                    None => self.name.clone(),
                };
                let instead = unknown.instead.map(|i| format!("; did you mean {i}?"));
                let instead = instead.unwrap_or_default();
                details.push(format!("{place}  {} is no key of {what}{instead}", unknown.key));
            }
        }
        if details.is_empty() {
            return Ok(());
        }
        let keys = if details.len() == 1 { "a key that means" } else { "keys that mean" };
        let error = CliError::usage(format!("{} has {keys} nothing", self.name));
        Err(CliError { details, ..error }
            .hint("correct the file, or send it as it is with --allow-unknown"))
    }

    /// `file:line:column` of a field, or of the nearest thing around it that exists.
    pub fn place_text(&self, definition: &Definition, path: &str) -> String {
        match self.locate(definition, path) {
            Some((line, column)) => format!("{}:{line}:{column}", self.name),
            None => self.name.clone(),
        }
    }

    /// Where the value at `path` (`/a/b/0`) of a definition stands.
    pub fn locate(&self, definition: &Definition, path: &str) -> Option<Place> {
        self.seek(definition, path, false)
    }

    /// Where the value at `path`, or its key, stands.
    fn seek(&self, definition: &Definition, path: &str, at_key: bool) -> Option<Place> {
        let fields = path.split('/').filter(|p| !p.is_empty());
        // `a(0)` and `(0)` are the other spelling of list positions.
        let fields = fields.flat_map(|f| f.split(['(', ')']).filter(|p| !p.is_empty()));
        let path: Vec<&str> = definition.path.iter().map(String::as_str).chain(fields).collect();
        let seek = Seek { path: &path, at_key };
        if self.json {
            let error =
                seek.deserialize(&mut serde_json::Deserializer::from_str(&self.text)).err()?;
            return Some((error.line(), error.column()));
        }
        let document = serde_yaml::Deserializer::from_str(&self.text).nth(definition.document)?;
        let at = seek.deserialize(document).err()?.location()?;
        Some((at.line(), at.column()))
    }
}

/// Walks down a path and fails at its end (at the value there, or at its key), or where it leads
/// nowhere.
#[derive(Clone, Copy)]
struct Seek<'p> {
    path: &'p [&'p str],
    at_key: bool,
}

const HERE: &str = "here";

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

macro_rules! fail_on {
    ($($name:ident: $type:ty),*) => {$(
        fn $name<E: de::Error>(self, _: $type) -> Result<(), E> {
            Err(E::custom(HERE))
        }
    )*};
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HERE)
    }

    fail_on!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(E::custom(HERE))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Some((wanted, rest)) = self.path.split_first() {
            let fail = self.at_key && rest.is_empty();
            while let Some(found) = map.next_key_seed(Key { wanted, fail })? {
                if found {
                    return map.next_value_seed(Seek { path: rest, ..self });
                }
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(de::Error::custom(HERE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((wanted, rest)) = self.path.split_first()
            && let Ok(mut left) = wanted.parse::<usize>()
        {
            while left > 0 && list.next_element::<IgnoredAny>()?.is_some() {
                left -= 1;
            }
            if left == 0 {
                list.next_element_seed(Seek { path: rest, ..self })?;
            }
        }
        Err(de::Error::custom(HERE))
    }
}

/// Reads a key and tells whether it is the wanted one; with `fail` that one is an error, whose
/// position is the key's.
struct Key<'p> {
    wanted: &'p str,
    fail: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HERE)
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.fail => Err(E::custom(HERE)),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests;
