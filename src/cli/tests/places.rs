//! Where in a file a field stands, for files of any shape; and small texts.

use proptest::prelude::*;

use super::*;
use crate::cli::{definition::Source, editor, output::Table, text};

/// Any nest of lists and objects whose leaves are told apart by their numbers.
fn nest() -> impl Strategy<Value = Value> {
    let leaf = Just(Value::Null);
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..5).prop_map(Value::Array),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 1..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Numbers the leaves and tells the way to each.
fn number(value: &mut Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(list) => {
            for (at, value) in list.iter_mut().enumerate() {
                number(value, &format!("{path}/{at}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                number(value, &format!("{path}/{key}"), found);
            }
        }
        leaf => {
            let name = format!("leaf-{}-", found.len());
            *leaf = json!(name);
            found.push((path.to_owned(), name));
        }
    }
}

const WORDS: &[&str] = &[
    "{", "[", "- ", "id: ", "/a", "\"id\"", ":", ",", "}", "]", "\n", "  ", "\t", "apps: ",
    "groups: ", "---\n", "&a ", "*a", "!x ", "|", ">", "#", "'", "\"",
];

proptest! {
    /// The line that an error is told for is the line of the field, in JSON and in YAML.
    #[test]
    fn every_field_is_found_on_its_line(mut env in nest(), second in any::<bool>()) {
        let mut leaves = Vec::new();
        number(&mut env, "/env", &mut leaves);
        let app = json!({"id": "/a", "cpus": 1, "env": env, "zz": true});
        let before = json!({"id": "/before", "env": {"a": ["leaf", "leaf"]}});
        let all = if second { json!([before, app]) } else { app };
        for text in [
            serde_json::to_string_pretty(&all).unwrap(),
            serde_yaml::to_string(&all).unwrap(),
        ] {
            let (source, definitions) = Source::parse("f", &text).unwrap();
            let definition = definitions.last().unwrap();
            for (path, name) in &leaves {
                let (line, _) = source.locate(definition, path).unwrap();
                let on_it = text.lines().nth(line - 1).unwrap();
                let is_it = on_it.contains(name.as_str());
                prop_assert!(is_it, "{path} is told for {on_it:?} in\n{text}");
            }
        }
    }

    /// Whatever stands in a file, reading it ends, with definitions or with words.
    #[test]
    fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let Some(text) = editor::decode(bytes) else { return Ok(()) };
        if let Err(error) = Source::parse("f", &text) {
            prop_assert_eq!(error.exit as u8, 2);
        }
    }

    /// As above, of texts that look like definitions.
    #[test]
    fn files_like_definitions_are_read_or_refused(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..24)
    ) {
        if let Err(error) = Source::parse("f", &words.concat()) {
            prop_assert_eq!(error.exit as u8, 2);
        }
    }

    /// Columns begin at the same place in each line, whatever the cells hold.
    #[test]
    fn columns_of_tables_line_up(
        cells in proptest::collection::vec(("\\PC{0,8}", "[ -~]{0,5}"), 0..6),
    ) {
        let mut table = Table::new(&["FIRST", "B", "C"]);
        for (a, b) in &cells {
            table.row([a.as_str(), b.as_str(), "end"]);
        }
        let text = table.text(false);
        let head: Vec<char> = text.lines().next().unwrap().chars().collect();
        let last = head.len() - 1;
        prop_assert_eq!(text.lines().count(), cells.len() + 1);
        for line in text.lines().skip(1) {
            let line: String = line.chars().skip(last).collect();
            prop_assert_eq!(line, "end");
        }
    }
}

#[test]
fn sizes_are_said_in_the_unit_that_fits() {
    for (n, said) in [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0K"),
        (1_048_575, "1.0M"),
        (1 << 20, "1.0M"),
        (1_073_741_823, "1.0G"),
        (u64::MAX, "16777216.0T"),
    ] {
        assert_eq!(text::bytes(n), said, "{n}");
    }
}

#[test]
fn an_age_is_said_in_the_largest_whole_unit_and_never_negative() {
    for (ms, said) in [
        (0, "0s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (3_599_999, "59m"),
        (3_600_000, "1h"),
        (86_399_999, "23h"),
        (86_400_000, "1d"),
        (-5_000, "0s"),
    ] {
        let at = Timestamp::from_ms(NOW.as_ms() - ms).to_string();
        assert_eq!(text::age(&at, NOW), said, "{ms}");
    }
    assert_eq!(text::age("", NOW), "");
}
