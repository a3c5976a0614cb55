//! App definitions in files: JSON or YAML, one or several, and where in the file a field stands.
//!
//! The server names a broken field by its path (`/container/docker/image`); people look for a line.
//! `Source::locate` walks the text again along that path with a deserializer that stops with an
//! error at the wanted value: the position of that error is the position of the value.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::{CliError, Outcome};

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
    /// Position in the document's list, when it is one.
    element: Option<usize>,
}

/// Line and column, from 1.
pub type Place = (usize, usize);

impl Source {
    /// Reads every definition of a text.
    pub fn parse(name: &str, text: String) -> Outcome<(Self, Vec<Definition>)> {
        let json = text.trim_start().starts_with(['{', '[']);
        let source = Self { name: name.to_owned(), text, json };
        let mut definitions = Vec::new();
        for (document, value) in source.documents()?.into_iter().enumerate() {
            match value {
                Value::Null => {}
                Value::Array(list) => {
                    for (at, app) in list.into_iter().enumerate() {
                        definitions.push(Definition { app, document, element: Some(at) });
                    }
                }
                app => definitions.push(Definition { app, document, element: None }),
            }
        }
        for definition in &definitions {
            source.check(definition)?;
        }
        if definitions.is_empty() {
            return Err(CliError::usage(format!("{name}: there is no app in it")));
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
            let value = value.map_err(|e| broken(Some((e.line(), e.column())), &e))?;
            return Ok(vec![value]);
        }
        serde_yaml::Deserializer::from_str(&self.text)
            .map(|document| {
                serde::Deserialize::deserialize(document).map_err(|e: serde_yaml::Error| {
                    broken(e.location().map(|l| (l.line(), l.column())), &e)
                })
            })
            .collect()
    }

    /// What the server would not even know where to put.
    fn check(&self, definition: &Definition) -> Outcome {
        let app = &definition.app;
        let problem = match app {
            Value::Object(app) if app.contains_key("apps") || app.contains_key("groups") => {
                "this is a group; list its apps one by one"
            }
            Value::Object(app) if app.get("id").is_some_and(Value::is_string) => return Ok(()),
            Value::Object(_) => "an app needs an id, as /web",
            _ => "this is no app definition",
        };
        Err(CliError::usage(format!("{}: {problem}", self.place_text(definition, ""))))
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
        let element = definition.element.map(|at| at.to_string());
        let fields = path.split('/').filter(|p| !p.is_empty());
        // `a(0)` and `(0)` are the other spelling of list positions.
        let fields = fields.flat_map(|f| f.split(['(', ')']).filter(|p| !p.is_empty()));
        let steps: Vec<&str> = element.as_deref().into_iter().chain(fields).collect();
        let seek = Seek(&steps);
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

/// Walks down a path and fails at its end, or where it leads nowhere.
struct Seek<'p>(&'p [&'p str]);

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
        if let Some((wanted, rest)) = self.0.split_first() {
            while let Some(key) = map.next_key::<String>()? {
                if key == *wanted {
                    return map.next_value_seed(Seek(rest));
                }
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(de::Error::custom(HERE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((wanted, rest)) = self.0.split_first()
            && let Ok(mut left) = wanted.parse::<usize>()
        {
            while left > 0 && list.next_element::<IgnoredAny>()?.is_some() {
                left -= 1;
            }
            if left == 0 {
                list.next_element_seed(Seek(rest))?;
            }
        }
        Err(de::Error::custom(HERE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
id: /web
cpus: 1
container:
  docker:
    image: ''
---
- id: /a
- id: /b
  env:
    X: 1
";

    fn places(text: &str, wanted: &[(usize, &str, Place)]) {
        let (source, definitions) = Source::parse("f", text.to_owned()).unwrap();
        for (at, path, place) in wanted {
            assert_eq!(source.locate(&definitions[*at], path), Some(*place), "{at} {path}");
        }
    }

    #[test]
    fn fields_of_yaml_are_found_over_documents_and_lists() {
        places(
            YAML,
            &[
                (0, "/cpus", (2, 7)),
                (0, "/container/docker/image", (5, 12)),
                (0, "/container/docker/nothing", (5, 5)),
                (1, "/id", (7, 7)),
                (2, "/env/X", (10, 8)),
            ],
        );
    }

    #[test]
    fn fields_of_json_are_found_by_line() {
        let text = "{\n  \"id\": \"/web\",\n  \"ports\": [\n    80,\n    \"x\"\n  ]\n}";
        let (source, definitions) = Source::parse("f", text.to_owned()).unwrap();
        assert_eq!(source.locate(&definitions[0], "/ports(1)").unwrap().0, 5);
        assert_eq!(source.locate(&definitions[0], "/id").unwrap().0, 2);
    }

    #[test]
    fn what_is_no_app_is_refused_with_its_place() {
        for (text, wanted) in [
            ("id: 7", "f:1:1: an app needs an id, as /web"),
            ("a: [", "f:"),
            ("{\"id\": ", "f:1:7: EOF"),
            ("id: /g\napps: []", "f:1:1: this is a group"),
            ("", "f: there is no app in it"),
            ("just text", "f:1:1: this is no app definition"),
        ] {
            let error = Source::parse("f", text.to_owned()).unwrap_err();
            assert!(error.message.starts_with(wanted), "{text:?}: {}", error.message);
        }
    }
}
