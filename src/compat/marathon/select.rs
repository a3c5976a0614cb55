//! Filters of app lists: by command, by id, by label selector.
//!
//! ```text
//! selector = term { "," term }
//! term     = key | key "==" value | key "!=" value | key ("in" | "notin") "(" value { "," value } ")"
//! ```
//! Keys and values are made of `A-Za-z0-9.-_`; any other character is escaped by a backslash.

use std::{iter::Peekable, str::Chars};

use super::error::Error;
use crate::{
    http::query::Query,
    model::{container::Command, workload::WorkloadSpec},
};

/// One condition on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Exists(String),
    In(String, Vec<String>),
    /// The label is there, with none of the values.
    NotIn(String, Vec<String>),
}

/// All conditions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    cmd: Option<String>,
    id: Option<String>,
    labels: Vec<Term>,
}

impl Filter {
    /// The filter of a query; a selector that cannot be parsed is an error.
    pub fn of(query: &Query) -> Result<Self, Error> {
        let lower = |key: &str| query.get(key).filter(|v| !v.is_empty()).map(str::to_lowercase);
        let mut labels = Vec::new();
        for selector in query.all("label").filter(|selector| !selector.is_empty()) {
            let parsed = Parser(selector.chars().peekable()).selector();
            labels.extend(parsed.map_err(|problem| {
                Error::Argument(format!("Can not parse label selector {selector}: {problem}"))
            })?);
        }
        Ok(Self { cmd: lower("cmd"), id: lower("id"), labels })
    }

    /// Whether an app is wanted.
    pub fn takes(&self, spec: &WorkloadSpec) -> bool {
        let has = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| text.to_lowercase().contains(wanted))
        };
        let cmd = match spec.run.containers.first().map(|c| &c.command) {
            Some(Command::Shell(text)) => text.as_str(),
            Some(Command::Args(_) | Command::Exec(_) | Command::Image) | None => "",
        };
        let label = |key: &String| spec.run.labels.get(key);
        has(&self.id, spec.id.as_str())
            && has(&self.cmd, cmd)
            && self.labels.iter().all(|term| match term {
                Term::Exists(key) => label(key).is_some(),
                Term::In(key, values) => label(key).is_some_and(|v| values.contains(v)),
                Term::NotIn(key, values) => label(key).is_some_and(|v| !values.contains(v)),
            })
    }
}

struct Parser<'a>(Peekable<Chars<'a>>);

impl Parser<'_> {
    fn selector(mut self) -> Result<Vec<Term>, String> {
        let mut terms = vec![self.term()?];
        loop {
            self.blanks();
            match self.0.next() {
                None => return Ok(terms),
                Some(',') => terms.push(self.term()?),
                Some(c) => return Err(format!("unexpected '{c}'")),
            }
        }
    }

    fn term(&mut self) -> Result<Term, String> {
        let key = self.word()?;
        self.blanks();
        match self.0.peek() {
            None | Some(',') => Ok(Term::Exists(key)),
            Some('=') => {
                self.expect("==")?;
                Ok(Term::In(key, vec![self.word()?]))
            }
            Some('!') => {
                self.expect("!=")?;
                Ok(Term::NotIn(key, vec![self.word()?]))
            }
            Some(_) => match self.word()?.as_str() {
                "in" => Ok(Term::In(key, self.set()?)),
                "notin" => Ok(Term::NotIn(key, self.set()?)),
                other => Err(format!("unknown operator '{other}'")),
            },
        }
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.blanks();
        self.expect("(")?;
        let mut values = vec![self.word()?];
        loop {
            self.blanks();
            match self.0.next() {
                Some(')') => return Ok(values),
                Some(',') => values.push(self.word()?),
                _ => return Err("expected ',' or ')'".to_owned()),
            }
        }
    }

    fn word(&mut self) -> Result<String, String> {
        self.blanks();
        let mut word = String::new();
        while let Some(&c) = self.0.peek() {
            match c {
                '\\' => {
                    self.0.next();
                    word.push(self.0.next().ok_or("nothing after the backslash")?);
                    continue;
                }
                c if c.is_ascii_alphanumeric() || ".-_".contains(c) => word.push(c),
                _ => break,
            }
            self.0.next();
        }
        if word.is_empty() { Err("expected a word".to_owned()) } else { Ok(word) }
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        for wanted in text.chars() {
            if self.0.next() != Some(wanted) {
                return Err(format!("expected '{text}'"));
            }
        }
        Ok(())
    }

    fn blanks(&mut self) {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Term>, String> {
        Parser(text.chars().peekable()).selector()
    }

    #[test]
    fn selectors_are_parsed() {
        let s = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (text, terms) in [
            ("a", vec![Term::Exists("a".into())]),
            ("a==b", vec![Term::In("a".into(), s(&["b"]))]),
            (" a != b , c", vec![Term::NotIn("a".into(), s(&["b"])), Term::Exists("c".into())]),
            ("a in (x,y-1)", vec![Term::In("a".into(), s(&["x", "y-1"]))]),
            ("a notin(x)", vec![Term::NotIn("a".into(), s(&["x"]))]),
            (r"a\ b==c\,d", vec![Term::In("a b".into(), s(&["c,d"]))]),
            ("in in (in)", vec![Term::In("in".into(), s(&["in"]))]),
        ] {
            assert_eq!(parse(text), Ok(terms), "{text}");
        }
        for text in ["", ",", "a=b", "a in x", "a in ()", "a in (x", "a like b", "a b", "a==", "ä"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
