//! Bytes against the published examples, and two releases of one type that read each other.

use super::{sample::Sample as _, *};
use crate::base::rng::Rng;

#[test]
fn bytes_are_those_of_protocol_buffers() {
    // The examples of protobuf.dev/programming-guides/encoding.
    let bytes = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        put(&mut out);
        out
    };
    assert_eq!(bytes(&|out| 150_u32.put(1, out)), [0x08, 0x96, 0x01]);
    assert_eq!(bytes(&|out| "testing".to_owned().put(2, out)), b"\x12\x07testing");
    assert_eq!(bytes(&|out| (150_u32,).put(3, out)), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    for (value, zigzag) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (0x7fff_ffff, 0xffff_fffe_u64)] {
        let mut expected = vec![0x08];
        encode_varint(zigzag, &mut expected);
        assert_eq!(bytes(&|out| i64::from(value).put(1, out)), expected, "{value}");
    }
    let long = "x".repeat(200);
    let nested = bytes(&|out| (long.clone(),).put(1, out));
    assert_eq!(nested[..6], [0x0a, 0xcb, 0x01, 0x0a, 0xc8, 0x01], "lengths of two bytes");
    assert_eq!(nested.len(), 206);
}

mod today {
    #[derive(Clone, PartialEq, Debug)]
    pub struct Thing {
        pub id: u64,
        pub names: Vec<String>,
        pub kind: Kind,
        pub state: State,
    }

    #[derive(Clone, Copy, PartialEq, Debug)]
    pub enum Kind {
        Plain,
    }

    #[derive(Clone, PartialEq, Debug)]
    pub enum State {
        Idle,
        Busy { until: u64 },
    }
}

mod tomorrow {
    #[derive(Clone, PartialEq, Debug)]
    pub struct Thing {
        pub id: u64,
        pub names: Vec<String>,
        pub weight: u32,
        pub kind: Kind,
        pub colour: Option<String>,
        pub state: State,
    }

    #[derive(Clone, Copy, PartialEq, Debug)]
    pub enum Kind {
        Plain,
        Fancy,
    }

    #[derive(Clone, PartialEq, Debug)]
    pub enum State {
        Idle,
        Busy { until: u64, why: Option<String> },
        Away,
    }
}

mod shapes_of_today {
    use super::today::*;
    message!(Thing { 1: id, 2: names, 3: kind, 4: state });
    numbers!(Kind { 1: Plain });
    choice!(State { 1: Idle, 2: Busy { 1: until } });
}

mod shapes_of_tomorrow {
    use super::tomorrow::*;
    message!(Thing { 1: id, 2: names, 3: kind, 4: state, 5: weight = 7, 6: colour });
    numbers!(Kind { 1: Plain, 2: Fancy });
    choice!(State { 1: Idle, 2: Busy { 1: until, 2: why }, 3: Away });
}

#[test]
fn releases_that_differ_by_fields_read_each_other() {
    let old = today::Thing {
        id: 9,
        names: vec!["a".into(), String::new()],
        kind: today::Kind::Plain,
        state: today::State::Busy { until: 3 },
    };
    let new = tomorrow::Thing {
        id: 9,
        names: vec!["a".into(), String::new()],
        weight: 7, // what its absence means
        kind: tomorrow::Kind::Plain,
        colour: None,
        state: tomorrow::State::Busy { until: 3, why: None },
    };
    assert_eq!(tomorrow::Thing::read(&encode(&old)).unwrap(), new);
    let heavy = tomorrow::Thing { weight: 0, colour: Some("red".into()), ..new };
    assert_eq!(today::Thing::read(&encode(&heavy)).unwrap(), old, "what is more is skipped");
    assert_eq!(tomorrow::Thing::read(&encode(&heavy)).unwrap(), heavy, "0 is not 7");
}

#[test]
fn what_only_a_newer_release_knows_is_said_to_be_so() {
    let new = tomorrow::Thing {
        id: 1,
        names: Vec::new(),
        weight: 7,
        kind: tomorrow::Kind::Fancy,
        colour: None,
        state: tomorrow::State::Idle,
    };
    let error = today::Thing::read(&encode(&new)).unwrap_err();
    assert_eq!(error.to_string(), "Kind is of a kind (number 2) that only a newer release knows");
    let away = tomorrow::Thing { kind: tomorrow::Kind::Plain, state: tomorrow::State::Away, ..new };
    let error = today::Thing::read(&encode(&away)).unwrap_err();
    assert_eq!(error.to_string(), "State is of a kind (number 3) that only a newer release knows");
}

#[test]
fn what_is_not_whole_is_an_error_that_names_it() {
    let error = today::Thing::read(&[]).unwrap_err().to_string();
    assert_eq!(error, "Thing lacks its field kind");
    let error = today::Thing::read(&[0x08]).unwrap_err().to_string();
    assert_eq!(error, "Thing is not readable: it ends too early or is of another format");
    let error = today::Thing::read(&[0x0a, 0x00]).unwrap_err().to_string();
    assert_eq!(error, "u64 is not readable: it ends too early or is of another format");
}

#[test]
fn lists_and_options_keep_what_they_are() {
    #[derive(Clone, PartialEq, Debug)]
    struct Holder {
        numbers: Vec<u32>,
        maybe: Option<Vec<u32>>,
        ports: Vec<Option<u16>>,
        zero: Option<u32>,
    }
    message!(Holder { 1: numbers, 2: maybe, 3: ports, 4: zero });
    for maybe in [None, Some(Vec::new()), Some(vec![0, 1])] {
        let numbers = vec![0, 0, 5];
        let ports = vec![None, Some(7), None];
        let holder = Holder { numbers, maybe, ports, zero: Some(0) };
        assert_eq!(Holder::read(&encode(&holder)).unwrap(), holder);
    }
}

#[test]
fn an_upgrade_of_a_format_may_not_lose_a_number() {
    #[derive(Clone, PartialEq, Debug)]
    enum Kind {
        First,
        Second(String),
        Third(Vec<u32>),
    }
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Letter {
        A,
        B,
    }
    choice!(Kind { 1: First, 2: Second(text), 7: Third[list] });
    numbers!(Letter { 1: A, 4: B });
    assert_eq!(Kind::FIELDS, [(1, "First"), (2, "Second(text)"), (7, "Third[list]")]);
    assert_eq!(<Letter as sample::Numbered>::NUMBERS, [(1, "A"), (4, "B")]);
    let mut rng = Rng::from_seed(1);
    for _ in 0..50 {
        let (kind, letter) = (Kind::sample(&mut rng), Letter::sample(&mut rng));
        assert_eq!(Kind::read(&encode(&kind)).unwrap(), kind);
        assert_eq!(decode_one::<Letter>("letter", &encode_one(&letter)).unwrap(), letter);
    }
}

/// Numbers of one row in two enums, as the families of commands have them.
mod families {
    #[derive(Clone, PartialEq, Debug)]
    pub enum Fruit {
        Apple(u64),
        Pear { n: u32 },
    }

    #[derive(Clone, PartialEq, Debug)]
    pub enum Tool {
        Saw(String),
    }

    #[derive(Clone, PartialEq, Debug)]
    pub enum Good {
        Fruit(Fruit),
        Tool(Tool),
    }

    choice!(Fruit { 1: Apple(it), 3: Pear { 1: n } });
    choice!(Tool { 2: Saw(it) });
    choices!(Good { Fruit(Fruit), Tool(Tool) });
}

#[test]
fn enums_of_one_row_of_numbers_are_written_as_if_they_were_one() {
    use families::{Fruit, Good, Tool};
    let cases = [
        (Good::Fruit(Fruit::Apple(7)), encode(&Fruit::Apple(7))),
        (Good::Fruit(Fruit::Pear { n: 9 }), encode(&Fruit::Pear { n: 9 })),
        (Good::Tool(Tool::Saw("s".into())), encode(&Tool::Saw("s".into()))),
    ];
    for (good, bytes) in cases {
        assert_eq!(encode(&good), bytes, "{good:?}");
        assert_eq!(Good::read(&bytes), Ok(good));
    }
    assert_eq!(Good::FIELDS, [(1, "Apple(it)"), (3, "Pear{1:n }"), (2, "Saw(it)")]);
    let mut newer = Vec::new();
    7_u64.put(4, &mut newer);
    let error = WireError::Newer { of: "Good", number: 4 };
    assert_eq!(Good::read(&newer), Err(error), "a number of no family");
    let missing = WireError::Missing { of: "Good", field: "(one of its kinds)" };
    assert_eq!(Good::read(&[]), Err(missing));
    assert!(Good::read(&[0x0a]).is_err(), "bytes that end too early");
}
