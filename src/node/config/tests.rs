//! Layers of settings, what they become, and how what is wrong is told.

use super::*;
use crate::node::settings;

fn layers(file: &str, environment: &[(&str, &str)]) -> Layers {
    let mut layers = Layers::default();
    layers.over(&node_defaults(), |_| Source::BuiltIn);
    let raw = settings::parse(file, "test.yaml").expect("settings");
    layers.over(&raw, |_| Source::File("test.yaml".into()));
    let variables = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    layers.over_environment(variables).expect("environment");
    layers
}

#[test]
fn later_sources_win_and_are_told() {
    let layers = layers(
        "roles: [master]\naddress: 10.0.0.1\nrouter_port: 8080\n",
        &[("TEPUI_ROUTER_PORT", "9090"), ("TEPUI_ATTRIBUTES", "rack:r1;ssd:yes")],
    );
    let config = Config::check(&layers).expect("config");
    assert_eq!(config.router_port, 9090);
    assert_eq!(config.attributes["rack"], "r1");
    assert_eq!(config.hostname, "10.0.0.1");
    assert_eq!(layers.source("router_port").to_string(), "environment TEPUI_ROUTER_PORT");
    assert_eq!(layers.source("address").to_string(), "test.yaml");
    assert_eq!(layers.source("docker").to_string(), "built in");
}

#[test]
fn the_front_door_speaks_tls_unless_told_otherwise() {
    let config = |file: &str| {
        let file = format!("roles: [master]\naddress: 10.0.0.1\n{file}");
        Config::check(&layers(&file, &[]))
            .map(|c| (c.tls, c.router_port, c.redirect_port))
            .map_err(|errors| errors[0].to_string())
    };
    assert_eq!(config(""), Ok((Tls::Own, 443, Some(80))));
    assert_eq!(config("tls: off\n"), Ok((Tls::Off, 80, None)));
    assert_eq!(config("router_port: 8443\n"), Ok((Tls::Own, 8443, None)));
    let named = "router_port: 8443\nredirect_port: 8080\n";
    assert_eq!(config(named), Ok((Tls::Own, 8443, Some(8080))));
    let files = Tls::Files { certificate: "/a".into(), key: "/b".into() };
    assert_eq!(config("tls_cert: /a\ntls_key: /b\n"), Ok((files, 443, Some(80))));
    for (file, problem) in [
        ("tls_cert: /a\n", "tls_key (not set): is missing beside tls_cert"),
        ("tls_key: /a\n", "tls_cert (not set): is missing beside tls_key"),
        ("tls: maybe\n", "\"maybe\" is no way"),
        ("tls: off\ntls_cert: /a\ntls_key: /b\n", "is off, yet tls_cert is given"),
        ("tls: off\nredirect_port: 81\n", "has no HTTPS to send to"),
    ] {
        let error = config(file).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn backups_need_a_place_and_by_schedule_a_key() {
    const KEY: &str = "age1xn6jv2lhawml6nz9kjaa5zaykjcu5ar76wt356avh5d3zpkez95sp8vyde";
    let backups = |file: &str| {
        let file = format!("roles: [master]\naddress: 10.0.0.1\n{file}");
        Config::check(&layers(&file, &[]))
            .map(|c| c.backups)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    assert_eq!(backups(""), Ok(None));
    let asked_for = backups("backup_to: /mnt/b\n").unwrap().unwrap();
    assert_eq!((asked_for.to.to_string().as_str(), asked_for.every), ("/mnt/b", None));
    assert_eq!((asked_for.keep, asked_for.keys.len()), (14, 0));
    let store = "backup_s3_endpoint: https://s3\nbackup_s3_key_id: k\nbackup_s3_secret: hush\n";
    let daily =
        format!("backup_to: s3://b/site/1/\nbackup_every: 24h\nbackup_keys: [{KEY}]\n{store}");
    let daily = backups(&daily).unwrap().unwrap();
    assert_eq!(daily.every, Some(std::time::Duration::from_secs(86_400)));
    assert_eq!(daily.to.to_string(), "s3://b/site/1/");
    let To::S3(bucket) = &daily.to else { panic!("{daily:?}") };
    assert_eq!((bucket.bucket.as_str(), bucket.region.as_str()), ("b", "us-east-1"));
    assert!(!format!("{daily:?}").contains("hush"), "{daily:?}");
    for (file, problem) in [
        ("backup_every: 24h\n", "backup_to (not set): is missing beside backup_every"),
        ("backup_to: /b\nbackup_every: 24h\n", "backup_keys (not set): is missing"),
        ("backup_to: /b\nbackup_every: '5'\n", "\"5\" is no time between backups"),
        ("backup_to: /b\nbackup_every: 59s\n", "\"59s\" is no time between backups"),
        ("backup_to: /b\nbackup_every: 99999999999999999999d\n", "is no time between"),
        ("backup_to: b\n", "\"b\" is no place for backups"),
        ("backup_to: ftp://b\n", "\"ftp://b\" is no place for backups"),
        ("backup_to: /b\nbackup_keep: 0\n", "must be 1 to 1000"),
        ("backup_to: /b\nbackup_keys: [age1x]\n", "\"age1x\" is no public key"),
        ("backup_to: s3://b\n", "backup_s3_endpoint (not set): is missing beside backup_to"),
        ("backup_to: s3://b\n", "backup_s3_secret (not set): is missing beside backup_to"),
        (&format!("backup_to: s3://\n{store}"), "names no bucket"),
        (&format!("backup_to: s3://b\n{}", store.replace("https", "s3")), "is no address"),
    ] {
        let error = backups(file).unwrap_err();
        assert!(error.contains(problem), "{file}: {error}");
    }
}

#[test]
fn all_that_is_wrong_is_told_with_key_and_fix() {
    let layers =
        layers("roles: [slave]\naddress: here\nplacement: random\nports: 5-1\nregion: eu\n", &[]);
    let errors = Config::check(&layers).expect_err("errors");
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "roles (test.yaml): \"slave\" is no role; use master, agent or public-agent (--role repeats)",
            "address (test.yaml): \"here\" is no IP address; write an IP address such as 10.0.0.5",
            "zone (not set): is missing beside region; set both or neither",
            "ports (test.yaml): \"5-1\" is no range of ports; write ranges such as 1025-2180,31000-32000",
            "placement (test.yaml): \"random\" is no policy; use spread or pack",
        ]
    );
}

#[test]
fn a_master_may_be_told_whom_to_join() {
    let file = "roles: [master]\naddress: 10.0.0.2\nmasters: [10.0.0.1:5070]\njoin_token: x.y\n";
    let config = Config::check(&layers(file, &[])).expect("config");
    assert_eq!(config.masters, ["10.0.0.1:5070"]);
    assert_eq!(config.join_token.as_deref(), Some("x.y"));
    let alone =
        Config::check(&layers("roles: [master]\naddress: 10.0.0.1\n", &[])).expect("config");
    assert!(alone.masters.is_empty());
}

#[test]
fn all_keys_that_cannot_be_used_are_refused_with_their_lines() {
    let text = "\u{feff}roles: [agent]\nrouterport: 1\n# x\ndns_port: many\nflavour: x\n";
    let error = settings::parse(text, "f").expect_err("error");
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "f:2: routerport is no setting; did you mean router_port?");
    assert!(lines[1].starts_with("f:4: dns_port: invalid type"), "{lines:?}");
    assert_eq!(lines[2..], ["f:5: flavour is no setting"]);
}

#[test]
fn misspelt_variables_are_noticed() {
    let told = |name: &str| {
        let mut layers = Layers::default();
        layers.over_environment([(name.to_owned(), "1".to_owned())]).expect("environment");
        layers.strangers().to_vec()
    };
    let meant = "TEPUI_RUOTER_PORT is no setting; did you mean TEPUI_ROUTER_PORT?";
    assert_eq!(told("TEPUI_RUOTER_PORT"), [meant]);
    for other in ["TEPUI_URL", "TEPUI_TOKEN", "TEPUI_DNS", "TEPUI_SOMETHING_ELSE", "PATH"] {
        assert_eq!(told(other), Vec::<String>::new(), "{other}");
    }
}

#[test]
fn switches_roles_and_levels_are_read_as_people_write_them() {
    for (text, on) in [("on", true), ("off", false), ("1", true), ("False", false)] {
        let layers =
            layers("roles: [master]\naddress: 10.0.0.1\n", &[("TEPUI_COMPAT_PORTS", text)]);
        assert_eq!(Config::check(&layers).expect("config").compat_ports, on, "{text}");
    }
    let file = "roles: [public_agent, master]\naddress: 10.0.0.1\ncompat_ports: off\n";
    let config = Config::check(&layers(file, &[])).expect("config");
    assert!(config.has(NodeRole::PublicAgent) && !config.compat_ports);
    for (level, good) in [
        ("loud", false),
        ("warn,tepui=loud", false),
        ("DEBUG", true),
        ("info,tepui::agent=debug", true),
        ("off", true),
    ] {
        let file = "roles: [master]\naddress: 10.0.0.1\n";
        let layers = layers(file, &[("TEPUI_LOG_LEVEL", level)]);
        assert_eq!(Config::check(&layers).is_ok(), good, "{level}");
    }
}

#[test]
fn the_shipped_file_is_valid() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/tepui.yaml");
    let mut layers = Layers::default();
    layers.over(&node_defaults(), |_| Source::BuiltIn);
    layers.over_file(file.as_ref()).expect("readable settings");
    // Left out, it is that of the default route, which a test machine may not have.
    let address = [("TEPUI_ADDRESS".to_owned(), "10.0.0.5".to_owned())];
    layers.over_environment(address).expect("environment");
    Config::check(&layers).expect("usable settings");
}

/// Each setting at the ends of what it takes, and what is said of the first value beyond.
#[test]
fn values_are_taken_up_to_their_ends_and_refused_by_their_key_beyond() {
    for (line, is_good) in [
        ("ports: 1-65535", true),
        ("ports: ' 31000 - 32000 , 5'", true),
        ("ports: 0-5", false),
        ("ports: 5-4", false),
        ("ports: '65536'", false),
        ("ports: '1,,2'", false),
        ("ports: ''", false),
        ("cpus: 0.001", true),
        ("cpus: 0", false),
        ("cpus: -1", false),
        ("cpus: .inf", false),
        ("cpus: .nan", false),
        ("dns_ttl_s: 0", true),
        ("dns_ttl_s: 3600", true),
        ("dns_ttl_s: 3601", false),
        ("history_mb: 1", true),
        ("history_mb: 0", false),
        ("history_mb: 65537", false),
        ("max_instances_per_app: 1", true),
        ("max_instances_per_app: 1000000", true),
        ("max_instances_per_app: 0", false),
        ("max_instances_per_app: 1000001", false),
        ("dns_upstreams: []", true),
        ("dns_upstreams: [9.9.9.9, '[::1]:5300', '::1']", true),
        ("dns_upstreams: [dns.example]", false),
        ("dns_upstreams: ['9.9.9.9:65536']", false),
        ("dns_search: [corp.example, a.b]", true),
        ("dns_search: ['a b']", false),
        ("dns_search: [a, b, c, d, e, f, g]", false),
        ("dns_allow: [10.0.0.0/8, 10.0.0.1, '::/0']", true),
        ("dns_allow: [10.0.0.0/33]", false),
        ("open_reads: ['*']", false),
        ("masters: ['m:1', '[::1]:65535']", true),
        ("masters: [m]", false),
        ("masters: ['m:65536']", false),
        ("masters: []", false),
        ("address: localhost", false),
        ("public_address: 203.0.113.9", true),
        ("public_address: node.example", false),
        ("listen: '::'", true),
        ("listen: 10.0.0.256", false),
        ("placement: pack", true),
        ("placement: tight", false),
        ("log_format: xml", false),
        ("log_level: 'warn,tepui=debug,hyper::proto=off'", true),
        ("log_level: loud", false),
        ("log_level: 'tepui=loud'", false),
        ("roles: [agent, boss]", false),
        ("tls: 'on'", false),
        ("data_dir: ''", false),
    ] {
        let key = line.split_once(':').expect("a key").0;
        let rest = ["roles: [agent]", "address: 10.0.0.1", "masters: ['m:5070']"];
        let rest = rest.into_iter().filter(|other| !other.starts_with(key));
        let file: Vec<&str> = rest.chain([line]).collect();
        match Config::check(&layers(&file.join("\n"), &[])) {
            Ok(_) => assert!(is_good, "{line} is taken"),
            Err(errors) => {
                let told: Vec<_> = errors.iter().map(|e| (e.key, e.origin.as_str())).collect();
                assert!(!is_good && told == [(key, "test.yaml")], "{line}: {errors:?}");
            }
        }
    }
    for (lines, key) in [("region: eu", "zone"), ("zone: a", "region")] {
        let file = format!("roles: [master]\naddress: 10.0.0.1\n{lines}");
        let errors = Config::check(&layers(&file, &[])).unwrap_err();
        assert_eq!(errors.iter().map(|e| e.key).collect::<Vec<_>>(), [key]);
    }
}
