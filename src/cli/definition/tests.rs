//! Where fields stand, and what is refused.

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
    let (source, definitions) = Source::parse("f", text).unwrap();
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
    let (source, definitions) = Source::parse("f", text).unwrap();
    assert_eq!(source.locate(&definitions[0], "/ports(1)").unwrap().0, 5);
    assert_eq!(source.locate(&definitions[0], "/id").unwrap().0, 2);
}

#[test]
fn what_is_no_app_is_refused_with_its_place() {
    for (text, wanted) in [
        ("id: 7", "f:1:1: an app needs an id, as /web"),
        ("a: [", "f:"),
        ("{\"id\": ", "f:1:6: EOF"),
        ("id: /g\napps: []", "f: there is no app in it"),
        ("", "f: there is no app in it"),
        ("just text", "f:1:1: this is no app definition"),
    ] {
        let error = Source::parse("f", text).unwrap_err();
        assert!(error.message.starts_with(wanted), "{text:?}: {}", error.message);
    }
}
