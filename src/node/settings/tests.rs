//! Every key through every source, and hostile files.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A value for each key, as it stands in a file, another as a variable, and what that one becomes.
const VALUES: &[(&str, &str, &str, &str)] = &[
    ("roles", "[master]", "agent, public-agent", "[agent, public-agent]"),
    ("data_dir", "/a", "/b c", "/b c"),
    ("cluster_name", "one", "two", "two"),
    ("hostname", "h1", "h2", "h2"),
    ("address", "10.0.0.1", "::1", "'::1'"),
    ("ip_detect", "/a", "/b", "/b"),
    ("public_address", "203.0.113.1", "::1", "'::1'"),
    ("public_ip_detect", "/a", "/b", "/b"),
    ("listen", "0.0.0.0", "10.0.0.2", "10.0.0.2"),
    ("router_port", "1", "65535", "65535"),
    ("tls", "own", "off", "off"),
    ("tls_cert", "/a.pem", "/b.pem", "/b.pem"),
    ("tls_key", "/a.key", "/b.key", "/b.key"),
    ("tls_names", "[a, b]", "c", "[c]"),
    ("redirect_port", "80", "0", "0"),
    ("dns_port", "53", "5300", "5300"),
    ("dns_upstreams", "[9.9.9.9]", "1.1.1.1,8.8.8.8:53", "[1.1.1.1, '8.8.8.8:53']"),
    ("dns_search", "[corp.example]", "a.example, b.example", "[a.example, b.example]"),
    ("dns_allow", "[10.0.0.0/8]", "fd00::/8", "['fd00::/8']"),
    ("peer_port", "5070", "1", "1"),
    ("compat_ports", "true", "off", "false"),
    ("max_instances_per_app", "500", "7", "7"),
    ("dns_ttl_s", "5", "0", "0"),
    ("history_mb", "64", "128", "128"),
    ("backup_every", "24h", "7d", "7d"),
    ("backup_to", "/a", "s3://b/c", "s3://b/c"),
    ("backup_keep", "7", "30", "30"),
    ("backup_keys", "[age1a]", "age1b,age1c", "[age1b, age1c]"),
    ("backup_s3_endpoint", "https://a", "http://b:9000", "http://b:9000"),
    ("backup_s3_region", "r1", "r2", "r2"),
    ("backup_s3_key_id", "k", "123", "'123'"),
    ("backup_s3_secret", "s", "123", "'123'"),
    ("backup_s3_ca", "/a.pem", "/b.pem", "/b.pem"),
    ("open_reads", "[10.0.0.0/8]", "10.1.0.0/16", "[10.1.0.0/16]"),
    ("masters", "['a:5070']", "b:1, c:2", "['b:1', 'c:2']"),
    ("join_token", "abc", "123", "'123'"),
    ("docker", "/a.sock", "/b.sock", "/b.sock"),
    ("task_user", "root", "nobody", "nobody"),
    ("attributes", "{rack: r1}", "rack:r2; url:http://x", "{rack: r2, url: 'http://x'}"),
    ("region", "eu", "us", "us"),
    ("zone", "a", "b", "b"),
    ("fault_domain_detect", "/a", "/b", "/b"),
    ("cpus", "2.5", "0.5", "0.5"),
    ("mem_mb", "1024", "2048", "2048"),
    ("disk_mb", "1024", "2048", "2048"),
    ("ports", "31000-32000", "1-2,5", "1-2,5"),
    ("placement", "spread", "pack", "pack"),
    ("log_level", "info", "debug,x=off", "debug,x=off"),
    ("log_format", "text", "json", "json"),
    ("destroy_on_exit", "false", "1", "true"),
];

fn told(layers: &Layers, key: &str) -> Value {
    let merged = serde_yaml::to_value(layers.merged()).expect("a mapping");
    merged.get(key).cloned().unwrap_or(Value::Null)
}

fn from_file(text: &str) -> Layers {
    let mut layers = Layers::default();
    layers.over(&parse(text, "f").expect(text), |_| Source::File("f".into()));
    layers
}

/// What is not given by a source says nothing: it must not hide what an earlier one said.
#[test]
fn each_key_is_kept_over_sources_that_do_not_name_it_and_given_up_to_those_that_do() {
    let keys: BTreeSet<&str> = VALUES.iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys, KEYS.into_iter().collect(), "a value for each");
    for (key, file, variable, becomes) in VALUES {
        let mut layers = from_file(&format!("{key}: {file}"));
        let given: Value = serde_yaml::from_str(file).expect(file);
        let read = told(&layers, key);
        assert_eq!(read, given, "{key}");
        for other in [Raw::default(), parse("", "g").expect("empty")] {
            layers.over(&other, |key| Source::Flag(key.to_owned()));
        }
        layers.over_environment([("TEPUI_URL".to_owned(), "x".to_owned())]).expect("no setting");
        assert_eq!(told(&layers, key), given, "{key}: sources without it say nothing of it");
        assert_eq!(layers.source(key), Source::File("f".into()), "{key}");
        assert_eq!(layers.list().count(), 1, "{key}: {:?}", layers.list().collect::<Vec<_>>());

        let name = format!("TEPUI_{}", key.to_uppercase());
        layers.over_environment([(name.clone(), (*variable).to_owned())]).expect(variable);
        let wanted: Value = serde_yaml::from_str(becomes).expect(becomes);
        assert_eq!(told(&layers, key), wanted, "{key} as a variable");
        assert_eq!(layers.source(key), Source::Environment(name), "{key}");
        assert!(layers.strangers().is_empty(), "{key}");
    }
}

#[test]
fn variables_that_do_not_fit_their_key_are_refused_by_name() {
    for (name, text) in [
        ("TEPUI_ROUTER_PORT", "-1"),
        ("TEPUI_ROUTER_PORT", "65536"),
        ("TEPUI_ROUTER_PORT", "http"),
        ("TEPUI_CPUS", "two"),
        ("TEPUI_MEM_MB", "1.5"),
        ("TEPUI_MAX_INSTANCES_PER_APP", "many"),
        ("TEPUI_COMPAT_PORTS", "perhaps"),
        ("TEPUI_DESTROY_ON_EXIT", "2"),
        // One that is written in another way must not be lost without a word.
        ("TEPUI_ATTRIBUTES", "rack=r1"),
        ("TEPUI_ATTRIBUTES", "rack:r1;ssd"),
    ] {
        let mut layers = Layers::default();
        let error = layers.over_environment([(name.to_owned(), text.to_owned())]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        assert_eq!(layers.list().count(), 0, "{name}={text}");
    }
    for (text, n) in [("", 0), ("a:1;", 1), (" a : 1 ; b:2;;", 2), ("a:", 1)] {
        let mut layers = Layers::default();
        let variable = ("TEPUI_ATTRIBUTES".to_owned(), text.to_owned());
        layers.over_environment([variable]).expect(text);
        assert_eq!(layers.merged().attributes.map_or(0, |a| a.len()), n, "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_list_of_settings_is_refused_in_words() {
    for (text, said) in [
        ("- roles\n", "f: settings are lines of key: value"),
        ("just words", "f: settings are lines of key: value"),
        ("roles: [master\n", "f: "),
        ("a: &a [*a]\n", "f: "),
        ("dns_port: 53\ndns_port: 54\n", "f: "),
        ("router_port: eighty\n", "f:1: router_port: "),
        (
            "# head\n\n  \nrouter-prot: 1\n",
            "f:4: router-prot is no setting; did you mean router_port?",
        ),
        ("'zone ': a\nattributes: {a: [1]}\n", "f:1: zone  is no setting; did you mean zone?"),
        ("attributes: {a: [1]}\n", "f:1: attributes.a: "),
        ("1: 2\n", "f: a key that is no text is no setting"),
        ("cpus: [1]\nmem_mb: -5\n", "f:1: cpus: "),
    ] {
        let error = parse(text, "f").expect_err(text).to_string();
        assert!(error.starts_with(said), "{text:?}: {error}");
    }
    let both = parse("cpus: [1]\nroles: [agent]\nmem_mb: -5\n", "f").unwrap_err().to_string();
    let lines: Vec<&str> = both.lines().map(|line| &line[..4]).collect();
    assert_eq!(lines, ["f:1:", "f:3:"], "all of them at once: {both}");
    assert_eq!(parse("", "f").unwrap(), Raw::default());
    assert_eq!(parse("# nothing yet\n", "f").unwrap(), Raw::default());
    assert_eq!(parse("\u{feff}zone: z\n", "f").unwrap().zone.as_deref(), Some("z"));
}

const WORDS: &[&str] = &[
    "roles", "zone", "cpus", "ports", "x", ": ", "[", "]", "{", "}", "- ", "\n", "1", "&a", "*a",
    "!t ", "'", "\"", "#", "\t",
];

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..20),
    ) {
        let _ = parse(&words.concat(), "f");
    }

    /// What was read and written again is the same settings.
    #[test]
    fn what_was_read_is_written_as_it_was(
        chosen in proptest::collection::vec(any::<bool>(), KEYS.len()),
    ) {
        let some = VALUES.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(value, _)| value);
        let text: String = some.map(|(key, value, ..)| format!("{key}: {value}\n")).collect();
        let raw = parse(&text, "f").unwrap();
        let again = parse(&serde_yaml::to_string(&raw).unwrap(), "g").unwrap();
        prop_assert_eq!(raw, again);
    }
}
