//! Reading: every violation with its path, bounds of what is told, how numbers print.

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
fn the_hundred_and_first_violation_is_only_more() {
    let list = vec!["2"; LIST_ITEMS_MAX].join(",");
    let value = serde_json::from_str(&format!(r#"{{"a":"","d":true,"list":[{list}]}}"#));
    let found = read::<Pair>(&value.unwrap()).map(|_| ()).unwrap_err();
    let shown = serde_json::to_value(&found).unwrap();
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), VIOLATIONS_TOLD_MAX + 1);
    assert_eq!(shown[99]["path"], "/list(99)");
    assert_eq!(shown[100]["errors"][0], "there are more; these are the first 100");
    let mut whole = Violations::default();
    whole.add_below("/apps(0)", found);
    assert_eq!(serde_json::to_value(&whole).unwrap().as_array().unwrap().len(), 101);
}

#[test]
fn one_path_told_twice_is_one_entry() {
    let mut v = Violations::default();
    for (path, text) in [("/a", "x"), ("/b", "x"), ("/a", "y"), ("/a", "x")] {
        v.add(path, text);
    }
    let text = serde_json::to_string(&v).unwrap();
    let expected = r#"[{"path":"/a","errors":["x","y"]},{"path":"/b","errors":["x"]}]"#;
    assert_eq!(text, expected);
}

#[test]
fn lists_and_echoes_have_an_end() {
    let list = vec!["1"; LIST_ITEMS_MAX + 1].join(",");
    let text = found(&format!(r#"{{"a":"","list":[{list}]}}"#));
    assert!(
        text.contains(r#"{"path":"/list","errors":["has 10001 elements, the maximum is 10000"]}"#)
    );
    assert!(text.len() < ECHO_BYTES_MAX + 1024, "{}", text.len());
}

#[test]
fn numbers_print_whole_when_they_are() {
    let text = serde_json::to_string(&[Num(128.0), Num(0.1), Num(1.15)]).unwrap();
    assert_eq!(text, "[128,0.1,1.15]");
    assert_eq!(Num(1.0).to_string(), "1.0");
}
