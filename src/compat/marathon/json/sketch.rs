//! A JSON schema in the making: what a reader asks for, mark by mark.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

/// The schema of one value.
#[derive(Debug, Default)]
pub struct Sketch(RefCell<Map<String, Value>>);

impl Sketch {
    pub fn into_schema(self) -> Value {
        Value::Object(self.0.into_inner())
    }

    pub fn text(&self, min: usize, max: usize) {
        self.set("type", "string");
        self.set_if(min > 0, "minLength", min);
        self.set_if(max < usize::MAX, "maxLength", max);
    }

    pub fn number(&self, min: f64, max: f64) {
        self.set("type", "number");
        self.set_if(min > f64::MIN, "minimum", min);
        self.set_if(max < f64::MAX, "maximum", max);
    }

    pub fn whole(&self, min: i64, max: i64) {
        self.set("type", "integer");
        self.set("minimum", min);
        self.set_if(max < i64::MAX, "maximum", max);
    }

    pub fn boolean(&self) {
        self.set("type", "boolean");
    }

    pub fn one_of<'a>(&self, names: impl Iterator<Item = &'a str>) {
        self.set("type", "string");
        self.set("enum", names.collect::<Vec<_>>());
    }

    pub fn list(&self, max: usize, item: Self) {
        self.set("type", "array");
        self.set("maxItems", max);
        self.set("items", item.into_schema());
    }

    pub fn map(&self, max: usize, value: Self) {
        self.set("type", "object");
        self.set("maxProperties", max);
        self.set("additionalProperties", value.into_schema());
    }

    pub fn object(&self) {
        self.set("type", "object");
    }

    pub fn any_of(&self, forms: [Self; 2]) {
        self.set("anyOf", forms.map(Self::into_schema).to_vec());
    }

    /// A field of an object. Asked for twice, it is what it was at first.
    pub fn property(&self, key: &str, is_needed: bool, value: Self) {
        let mut marks = self.0.borrow_mut();
        let properties = marks.entry("properties").or_insert_with(|| json!({}));
        let Some(properties) = properties.as_object_mut().filter(|p| !p.contains_key(key)) else {
            return;
        };
        properties.insert(key.to_owned(), value.into_schema());
        if is_needed {
            let needed = marks.entry("required").or_insert_with(|| json!([]));
            needed.as_array_mut().into_iter().for_each(|list| list.push(json!(key)));
        }
    }

    fn set(&self, key: &str, value: impl Into<Value>) {
        self.0.borrow_mut().insert(key.to_owned(), value.into());
    }

    fn set_if(&self, holds: bool, key: &str, value: impl Into<Value>) {
        if holds {
            self.set(key, value);
        }
    }
}
