//! What a config.yaml may say, what is said of one that is wrong, and whether the page lists every key.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    bundle,
    keys::{self, Effect, Kind},
    wanted::Wanted,
};
use crate::node::config::NodeRole;

const PAGE: &str = include_str!("../../../docs/compat/installer.md");

fn read(text: &str) -> Result<Wanted, Vec<String>> {
    Wanted::read(Path::new("/nowhere/config.yaml"), text)
}

fn faults(text: &str) -> Vec<String> {
    read(text).expect_err(text)
}

#[test]
fn a_file_of_the_original_is_read_with_its_meaning() {
    let wanted = read(
        "bootstrap_url: http://10.0.0.1:80\n\
         cluster_name: 'prod'\n\
         exhibitor_storage_backend: static\n\
         master_discovery: static\n\
         master_list:\n- 10.0.0.1\n- 10.0.0.2\n- 10.0.0.3\n\
         agent_list: ['10.0.0.4', '10.0.0.5']\n\
         public_agent_list: '[\"10.0.0.6\"]'\n\
         resolvers:\n- 9.9.9.9\n- 10.0.0.9:5353\n\
         dns_search: corp.example a.example\n\
         process_timeout: 600\n\
         ssh_user: core\nssh_port: '2222'\n\
         check_time: 'false'\n\
         master_external_loadbalancer: lb.example\n\
         ip_detect_contents: |\n  #!/bin/sh\n  echo 10.0.0.1\n\
         node_settings: {tls: off, router_port: 8443}\n\
         host_settings: {10.0.0.5: {attributes: {rack: r1}}}\n",
    )
    .expect("good");
    let roles: Vec<_> = wanted.hosts.iter().map(|host| host.role.as_str()).collect();
    assert_eq!(roles, ["master", "master", "master", "agent", "agent", "public-agent"]);
    assert_eq!(wanted.deadline.as_secs(), 600);
    assert_eq!((wanted.way.user.as_deref(), wanted.way.port), (Some("core"), Some(2222)));
    assert!(!wanted.check_time);
    assert_eq!(
        wanted.without,
        [
            "config.yaml:1: bootstrap_url is without effect: hosts get everything over ssh",
            "config.yaml:3: exhibitor_storage_backend is without effect: masters keep the state themselves, \
             there is no ZooKeeper",
        ]
    );
    let settings = wanted.settings(wanted.hosts[4]);
    for line in [
        "cluster_name: prod\n",
        "ip_detect: /etc/tepui/ip-detect\n",
        "- 10.0.0.9:5353\n",
        "- a.example\n",
        "tls_names:\n- lb.example\n",
        "router_port: 8443\n",
        "rack: r1\n",
    ] {
        assert!(settings.contains(line), "{line}: {settings}");
    }
    assert!(!settings.contains("address:"), "the program tells it: {settings}");
    assert!(!wanted.settings(wanted.hosts[3]).contains("rack"), "of one host alone");
    assert_eq!(wanted.peer(wanted.hosts[0]), "10.0.0.1:5070");
}

#[test]
fn without_a_program_the_listed_address_is_set() {
    let wanted = read("master_list: [10.0.0.1]\nagent_list: [10.0.0.2]\n").expect("good");
    assert_eq!(wanted.settings(wanted.hosts[1]), "address: 10.0.0.2\n");
    assert_eq!(wanted.deadline.as_secs(), 120);
    assert!(wanted.way.key.is_none() && wanted.check_time && wanted.without.is_empty());
}

#[test]
fn all_that_is_wrong_is_told_at_once_by_line_and_key() {
    let told = faults(
        "cluster_nmae: x\n\
         master_list: [10.0.0.1, 10.0.0.1, m2]\n\
         agent_list: [10.0.0.1]\n\
         resolvers: [198.51.100.1, 9.9.9.9, 9.9.9.9, dns]\n\
         dns_search: a,b\n\
         telemetry_enabled: maybe\n\
         zk_client_port: many\n\
         dns_forward_zones: '{\"a\": '\n\
         ssh_port: 70000\n\
         process_timeout: 0\n\
         master_discovery: master_http_loadbalancer\n\
         ca_certificate_path: genconf/ca.crt\n\
         num_masters: 1\n\
         fault_domain_enabled: true\n\
         ip_detect_contents: echo 1\n",
    );
    let wanted = [
        "config.yaml:1: cluster_nmae: is no key; did you mean cluster_name?",
        "config.yaml:2: master_list: List cannot contain duplicates: 10.0.0.1 appears 2 times",
        "config.yaml:2: master_list: Invalid IPv4 addresses in list: m2",
        "config.yaml:2: master_list: Must have 1, 3, 5, 7, or 9 masters. Found 2",
        "config.yaml:3: agent_list: 10.0.0.1 is in another list too: a host has one role",
        "config.yaml:4: resolvers: List cannot contain duplicates: 9.9.9.9 appears 2 times",
        "config.yaml:4: resolvers: Spartan addresses found in resolvers: 198.51.100.1",
        "config.yaml:4: resolvers: dns is neither an address nor ADDRESS:PORT",
        "config.yaml:5: dns_search: Search domains are separated by blanks, not by commas or lines",
        "config.yaml:6: telemetry_enabled: Must be one of 'true', 'false'. Got 'maybe'.",
        "config.yaml:7: zk_client_port: Must be an integer. Got 'many'.",
        "config.yaml:8: dns_forward_zones: Must be valid JSON. Got: {\"a\": ",
        "config.yaml:9: ssh_port: Must be between 1 and 65535",
        "config.yaml:10: process_timeout: has to be a number of seconds above 0",
        "config.yaml:11: master_discovery: is not possible: masters are known by their addresses; list them \
         in master_list with master_discovery: static",
        "config.yaml:12: ca_certificate_path: is not possible: the cluster makes an authority of its own; a \
         certificate for the front door alone is external_certificate_path",
        "config.yaml:13: num_masters: is 1, and master_list has 2",
        "config.yaml:14: fault_domain_enabled: true needs fault_domain_detect_filename, or \
         fault-domain-detect beside the file",
        "config.yaml:15: ip_detect_contents: ip-detect has to be a text in UTF-8 that begins with #!",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn what_is_missing_and_what_is_no_file_of_keys_is_told() {
    let missing = "config.yaml: master_list: Must set master_list, no way to calculate value.";
    assert_eq!(faults("cluster_name: x\n"), [missing]);
    assert_eq!(faults(""), [missing]);
    assert_eq!(faults("- a\n"), ["config.yaml: it has to be lines of key: value"]);
    assert!(faults("a: [\n")[0].starts_with("config.yaml: "));
    let twice = faults("master_list: [10.0.0.1]\nmaster_list: [10.0.0.1]\n");
    assert!(twice[0].contains("duplicate"), "{twice:?}");
}

#[test]
fn settings_of_nodes_are_checked_as_nodes_check_them() {
    let told = faults(
        "master_list: [10.0.0.1]\nnode_settings: {roles: [agent], router_prot: 1}\n\
         host_settings: {10.0.0.9: {zone: a}, 10.0.0.1: [x]}\n",
    );
    let wanted = [
        "config.yaml:2: node_settings: roles follows from the lists",
        "config.yaml:2: node_settings: router_prot is no setting; did you mean router_port?",
        "config.yaml:3: host_settings: \"10.0.0.9\" is in none of the lists",
        "config.yaml:3: host_settings: 10.0.0.1: has to be a map",
    ];
    assert_eq!(told, wanted);
    let told = faults("master_list: [10.0.0.1]\nhost_settings: {10.0.0.1: {zone: a}}\n");
    assert_eq!(
        told,
        ["config.yaml:2: host_settings: region: is missing beside zone; set both or neither"]
    );
}

#[test]
fn files_are_found_beside_the_file_and_as_the_original_named_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let genconf = dir.path().join("genconf");
    fs::create_dir_all(genconf.join("check_bins")).expect("made");
    for (name, text) in [
        ("ip-detect", "#!/bin/sh\necho 10.0.0.1\n"),
        ("public", "#!/bin/sh\necho 203.0.113.1\n"),
        ("fault-domain-detect", "#!/bin/sh\n"),
        ("ssh_key", "key"),
        ("front.crt", "crt"),
        ("front.key", "key"),
        ("check_bins/look", "#!/bin/sh\n"),
    ] {
        fs::write(genconf.join(name), text).expect("written");
    }
    let text = "master_list: [10.0.0.1]\nagent_list: [10.0.0.2]\nfault_domain_enabled: true\n\
                ip_detect_public_filename: genconf/public\n\
                external_certificate_path: front.crt\nexternal_certificate_key_path: front.key\n";
    let wanted = Wanted::read(&genconf.join("config.yaml"), text).expect("good");
    let names: Vec<_> = wanted.files.iter().map(|file| (file.name, file.is_program)).collect();
    let all = [
        ("ip-detect", true),
        ("ip-detect-public", true),
        ("fault-domain-detect", true),
        ("cluster.crt", false),
        ("cluster.key", false),
    ];
    assert_eq!(names, all);
    assert_eq!(wanted.way.key, Some(genconf.join("ssh_key")));
    assert_eq!(wanted.check_bins[0].0, "look");
    let [master, agent] = wanted.hosts[..] else { panic!("two hosts") };
    assert!(wanted.settings(master).contains("tls_cert: /etc/tepui/cluster.crt"));
    assert!(!wanted.settings(agent).contains("tls_"), "{}", wanted.settings(agent));
    let text = "master_list: [10.0.0.1]\nip_detect_filename: gone\nssh_key_path: gone\n";
    let told = Wanted::read(&genconf.join("config.yaml"), text).expect_err("no such files");
    let gone = |key: &str, line| {
        format!("config.yaml:{line}: {key}: there is no file gone beside this one")
    };
    assert_eq!(told, [gone("ip_detect_filename", 2), gone("ssh_key_path", 3)]);
}

#[test]
fn no_key_is_there_twice_and_the_page_lists_them_all() {
    let names: BTreeSet<_> = keys::KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), keys::KEYS.len());
    let mut lacking = Vec::new();
    for key in keys::KEYS {
        let (word, text) = match key.effect {
            Effect::Used(text) => ("used", text),
            Effect::Without(text) => ("without effect", text),
            Effect::Refused(text) => ("refused", text),
        };
        let kind = match key.kind {
            Kind::Switch => "true, false",
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::List => "list",
            Kind::Map => "map",
        };
        let row = format!("| `{}` | {kind} | {word} | {text} |", key.name);
        if !PAGE.contains(&row) {
            lacking.push(row);
        }
    }
    assert!(
        lacking.is_empty(),
        "rows that docs/compat/installer.md lacks:\n{}",
        lacking.join("\n")
    );
}

#[test]
fn hosts_get_all_that_the_installer_reads() {
    let names: BTreeSet<String> = bundle::scripts().into_iter().map(|entry| entry.path).collect();
    let installer = include_str!("../../../installer/install.sh");
    for part in installer.split("$here/").skip(1) {
        let end = |c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c));
        let path = part.split(end).next().unwrap_or_default();
        // Brought along only where somebody asks for it.
        if ["bin/tepui", "docker", "images"].contains(&path) || path.is_empty() {
            continue;
        }
        assert!(names.contains(path), "{path} is not packed");
    }
}

#[test]
fn a_host_is_named_with_its_role() {
    let wanted = read("master_list: [10.0.0.1]\n").expect("good");
    assert_eq!(wanted.hosts[0].to_string(), "10.0.0.1 (master)");
    assert_eq!(wanted.hosts[0].role, NodeRole::Master);
}
