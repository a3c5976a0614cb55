//! Constraint fields as dense columns: per field the value of every node, numbered from 0.
//!
//! A field is read from the nodes once for as long as they stay the same, however many workloads ask for it; a test of a
//! value (a regular expression, an equality) is run once per distinct value.

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;

use super::ledger::{Ledger, NodeIx};
use crate::model::{
    node::Attribute,
    workload::{Constraint, Operator},
};

/// Position of a value in its column.
pub type ValueIx = u32;
/// The node has no such attribute.
pub const MISSING: ValueIx = ValueIx::MAX;

/// The values of one field.
#[derive(Debug, Default)]
pub struct Column {
    of_node: Vec<ValueIx>,
    values: Vec<String>,
    by_text: BTreeMap<String, ValueIx>,
}

impl Column {
    fn of(ledger: &Ledger, field: &str) -> Self {
        let mut column = Self::default();
        for ix in ledger.all() {
            let value = ledger.node(ix).field(field);
            let value = value.map_or(MISSING, |text| column.intern(text));
            column.of_node.push(value);
        }
        column
    }

    fn intern(&mut self, text: String) -> ValueIx {
        if let Some(&known) = self.by_text.get(&text) {
            return known;
        }
        let ix = ValueIx::try_from(self.values.len()).unwrap_or(MISSING);
        self.values.push(text.clone());
        self.by_text.insert(text, ix);
        ix
    }

    /// The value of a node, or `MISSING`.
    #[inline]
    pub fn of_node(&self, ix: NodeIx) -> ValueIx {
        self.of_node[ix as usize]
    }

    /// The number of a value some node has.
    pub fn find(&self, text: &str) -> Option<ValueIx> {
        self.by_text.get(text).copied()
    }

    /// How many distinct values nodes have.
    pub fn n_values(&self) -> usize {
        self.values.len()
    }

    pub fn text(&self, value: ValueIx) -> &str {
        self.values.get(value as usize).map_or("", String::as_str)
    }
}

/// The outcome of a test that depends on the value alone.
#[derive(Debug)]
pub struct Verdicts {
    of_value: Vec<bool>,
    missing: bool,
}

impl Verdicts {
    #[inline]
    pub fn of(&self, value: ValueIx) -> bool {
        if value == MISSING { self.missing } else { self.of_value[value as usize] }
    }
}

/// Kept from plan to plan at most: clients choose fields and expressions.
const COLUMNS_MAX: usize = 64;
const VERDICTS_MAX: usize = 512;

/// Columns and verdicts of one set of nodes, made when first asked for.
#[derive(Debug, Default)]
pub struct Fields {
    columns: BTreeMap<String, Arc<Column>>,
    verdicts: BTreeMap<Constraint, Arc<Verdicts>>,
}

impl Fields {
    /// Forgets everything when too much has been asked for.
    pub fn trim(&mut self) {
        if self.columns.len() > COLUMNS_MAX || self.verdicts.len() > VERDICTS_MAX {
            *self = Self::default();
        }
    }

    /// The column of `field`. `hostname` and `@hostname` are one.
    pub fn column(&mut self, ledger: &Ledger, field: &str) -> Arc<Column> {
        let field = if field == "@hostname" { "hostname" } else { field };
        if let Some(column) = self.columns.get(field) {
            return column.clone();
        }
        let column = Arc::new(Column::of(ledger, field));
        self.columns.insert(field.to_owned(), column.clone());
        column
    }

    /// Verdicts of an operator that looks at the value alone; `None` for the others.
    pub fn verdicts(&mut self, constraint: &Constraint, column: &Column) -> Option<Arc<Verdicts>> {
        let test = value_test(constraint)?;
        if let Some(known) = self.verdicts.get(constraint) {
            return Some(known.clone());
        }
        let of_value = column.values.iter().map(|text| test(text)).collect();
        let missing = constraint.operator == Operator::Unlike;
        let verdicts = Arc::new(Verdicts { of_value, missing });
        self.verdicts.insert(constraint.clone(), verdicts.clone());
        Some(verdicts)
    }
}

/// The test of a value that a constraint stands for, when it needs nothing but the value.
fn value_test(constraint: &Constraint) -> Option<Box<dyn Fn(&str) -> bool>> {
    let value = constraint.value.clone().unwrap_or_default();
    match constraint.operator {
        Operator::Cluster if !value.is_empty() => Some(Box::new(move |text| text == value)),
        Operator::Is => {
            let scalar = decimal(&value);
            Some(Box::new(move |text| {
                text == value
                    || scalar.as_deref().is_some_and(|s| decimal(text).as_deref() == Some(s))
            }))
        }
        Operator::Like => {
            let regex = full_match(&value);
            Some(Box::new(move |text| regex.as_ref().is_some_and(|r| r.is_match(text))))
        }
        // An expression that cannot be read excludes every node with the attribute; the report says so.
        Operator::Unlike => {
            let regex = full_match(&value);
            Some(Box::new(move |text| regex.as_ref().is_some_and(|r| !r.is_match(text))))
        }
        Operator::Cluster | Operator::Unique | Operator::GroupBy | Operator::MaxPer => None,
    }
}

/// `pattern` bound to both ends of the text; `None` when it is not a regular expression.
pub fn full_match(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

/// A decimal number rounded half-even to three decimals and printed without trailing zeros, the
/// form in which scalar attributes are compared; `None` when the text is no such number.
fn decimal(text: &str) -> Option<String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 15 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let kept: String = fraction.chars().chain("000".chars()).take(3).collect();
    let mut n: i64 = format!("{whole}{kept}").parse().ok()?;
    let rest = fraction.get(3..).unwrap_or("").trim_end_matches('0');
    let up = match rest.as_bytes().first() {
        None | Some(b'0'..=b'4') => false,
        Some(b'5') if rest.len() == 1 => n % 2 == 1,
        Some(_) => true,
    };
    n += i64::from(up);
    let n = if negative { -n } else { n };
    Some(Attribute::Scalar(crate::base::units::Milli::new(n)).text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_round_half_even_to_three_places() {
        for (text, want) in [
            ("1.0005", Some("1")),
            ("1.0015", Some("1.002")),
            ("1.00051", Some("1.001")),
            ("2.50", Some("2.5")),
            ("007", Some("7")),
            ("-1.25", Some("-1.25")),
            ("a1", None),
            ("", None),
            ("1.2.3", None),
        ] {
            assert_eq!(decimal(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn expressions_match_the_whole_text() {
        let regex = full_match("rack-[1-3]|edge").expect("a valid expression");
        assert!(regex.is_match("rack-2") && regex.is_match("edge"));
        assert!(!regex.is_match("rack-21") && !regex.is_match("my edge"));
        assert!(full_match("(").is_none());
    }
}
