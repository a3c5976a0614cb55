use super::*;

#[test]
fn placeholder_free() {}
