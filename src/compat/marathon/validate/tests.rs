//! The rules of definitions, as a table: what is sent, and where which rule is told to be broken.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::compat::marathon::json as edge;

/// `more` laid over a definition that keeps all rules; an object within it is replaced whole.
fn app(more: &Value) -> App {
    let mut json = json!({"id": "/g/a", "cmd": "sleep 1", "role": "g"});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings = Settings::default();
    let mut app: App = edge::read(&json).unwrap();
    normalize::migrate(&mut app, &settings).unwrap();
    normalize::complete(&mut app, &settings);
    app
}

/// The broken rules as `path text`.
fn broken_with(more: &Value, settings: &Settings, pinned: Option<&str>) -> Vec<String> {
    let roles = ["g", "slave_public", "*"].map(str::to_owned).into();
    let context = Context { settings, roles: &roles, role_pinned: pinned };
    let found = serde_json::to_value(validate(&app(more), &context)).unwrap();
    let lines = |entry: &Value| {
        let path = entry["path"].as_str().unwrap().to_owned();
        let texts = entry["errors"].as_array().unwrap().clone();
        texts.into_iter().map(move |text| format!("{path} {}", text.as_str().unwrap()))
    };
    found.as_array().unwrap().iter().flat_map(lines).collect()
}

fn broken(more: &Value) -> Vec<String> {
    broken_with(more, &Settings::default(), None)
}

/// Each definition breaks just the rule beside it; none where the text is empty.
fn check(table: &[(Value, &str)]) {
    for (more, wanted) in table {
        assert_eq!(broken(more).join("; "), *wanted, "{more}");
    }
}

const MESOS: &str = "MESOS";

fn mesos(more: &Value) -> Value {
    let mut container = json!({"type": MESOS});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"container": container})
}

#[test]
fn ids_and_what_is_run() {
    let wanted = "must not end with any of [restart, tasks, versions]";
    let neither =
        "/ AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    check(&[
        (json!({}), ""),
        (json!({"id": "/"}), "/id must not be root"),
        (json!({"id": "/g/restart"}), &format!("/id {wanted}")),
        (json!({"id": "/tasks/a"}), ""),
        (json!({"id": "/g/A"}), &format!("/id {ID_PATTERN}")),
        (json!({"id": "/g/a.b-c.0"}), ""),
        (json!({"dependencies": ["/", "/g/b"]}), ""),
        (json!({"dependencies": ["/g/b", "/g/b_c"]}), &format!("/dependencies(1) {ID_PATTERN}")),
        (json!({"args": ["x"]}), neither),
        (json!({"cmd": null}), neither),
        (json!({"cmd": null, "args": []}), neither),
        (json!({"cmd": null, "args": ["x"]}), ""),
        (json!({"cmd": null, "container": {"docker": {"image": "x"}}}), ""),
        (json!({"cmd": "x"}), "/ must not be an empty string"),
        (json!({"fetch": [{"uri": "http://x/a%20b"}, {"uri": "/opt/x.tgz"}]}), ""),
        (json!({"fetch": [{"uri": "x"}, {"uri": "a b"}]}), "/fetch(1)/uri URI has invalid syntax."),
        (json!({"fetch": [{"uri": "http://x/100%"}]}), "/fetch(0)/uri URI has invalid syntax."),
        (json!({"fetch": [{"uri": "http://x/%zz"}]}), "/fetch(0)/uri URI has invalid syntax."),
        (json!({"fetch": [{"uri": ":x"}]}), "/fetch(0)/uri URI has invalid syntax."),
    ]);
}

#[test]
fn networks_go_together_or_not() {
    let combination = "/networks May specify a single host network, single bridge network, or else \
        1-to-n container networks";
    let (host, bridge, own) =
        (json!({"mode": "host"}), json!({"mode": "container/bridge"}), json!({"name": "n"}));
    let two = json!([own, {"name": "m"}]);
    let mapped = |networks: &Value, mapping: Value| json!({"networks": networks, "container": {"type": MESOS, "portMappings": [mapping]}});
    check(&[
        (json!({"networks": [host, host]}), combination),
        (json!({"networks": [bridge, bridge]}), combination),
        (json!({"networks": [bridge, own]}), combination),
        (
            json!({"networks": [{"mode": "host", "labels": {"a": "b"}}]}),
            "/networks Host networks may not have names or labels",
        ),
        (
            json!({"networks": [{"mode": "container/bridge", "name": "n"}]}),
            "/networks Bridge networks may not have names",
        ),
        (json!({"networks": [own, own]}), "/networks Duplicate networks are not allowed"),
        (json!({"networks": two}), ""),
        (
            json!({"networks": two, "container": {"docker": {"image": "x"}}}),
            "/ may only specify a single container network when using the Docker container engine",
        ),
        (mapped(&two, json!({"containerPort": 80})), ""),
        (mapped(&two, json!({"containerPort": 80, "hostPort": 0, "networkNames": ["m"]})), ""),
        (
            mapped(&two, json!({"containerPort": 80, "hostPort": 0})),
            "/container/portMappings(0) networkNames must be a single item list when hostPort is \
             specified and more than 1 container network is defined",
        ),
        (
            mapped(&two, json!({"networkNames": ["m", "x"]})),
            "/container/portMappings(0)/networkNames(1) is not one of (m,n)",
        ),
        (
            json!({"container": {"docker": {"image": "x"}, "portMappings": [{"containerPort": 80}]}}),
            "/ portMappings are not allowed with host-networking",
        ),
        (
            json!({
                "networks": [bridge], "portDefinitions": [{"port": 80}],
                "container": {"type": MESOS, "portMappings": [{"containerPort": 80}]},
            }),
            "/ portDefinitions are only allowed with host-networking",
        ),
    ]);
}

#[test]
fn ports_are_told_apart() {
    let definitions = |ports: Value| json!({"portDefinitions": ports});
    let unique = "/portDefinitions Ports must be unique.";
    check(&[
        (definitions(json!([{"port": 0}, {"port": 0}, {"port": 80}])), ""),
        (definitions(json!([{"port": 80}, {"port": 80, "protocol": "udp"}])), unique),
        (
            definitions(json!([{"name": "a"}, {"name": "a"}])),
            "/portDefinitions Port names must be unique.",
        ),
        (
            json!({
                "networks": [{"mode": "container/bridge"}],
                "container": {"type": MESOS, "portMappings": [{"name": "a"}, {"name": "a"}]},
            }),
            "/container/portMappings Port names must be unique.",
        ),
    ]);
}

#[test]
fn checks_name_ports_that_there_are() {
    let index = "Health check port indices must address an element of the ports array or container \
        port mappings.";
    let wrong_index = format!("/healthChecks(0) {index}");
    let family = "/healthChecks(0) IPv6 can only be used for container type DOCKER and Mesos \
        http/https/tcp health checks";
    let health = |check: Value| json!({"healthChecks": [check]});
    let on_docker =
        |check: Value| json!({"healthChecks": [check], "container": {"docker": {"image": "x"}}});
    let mesos_tcp = json!({"protocol": "MESOS_TCP"});
    let exec = json!({"exec": {"command": {"shell": "true"}}});
    let one_of = "/check must contain exactly one of exec, http or tcp";
    check(&[
        (health(json!({})), ""),
        (health(json!({"portIndex": 1})), &wrong_index),
        (health(json!({"port": 8080})), ""),
        (
            health(json!({"port": 8080, "portIndex": 0})),
            "/healthChecks(0) must contain at most one of port and portIndex",
        ),
        (json!({"portDefinitions": [], "healthChecks": [{}]}), &wrong_index),
        (json!({"portDefinitions": [], "healthChecks": [{"port": 80}]}), ""),
        (json!({"portDefinitions": [], "healthChecks": [{"command": {"value": "x"}}]}), ""),
        (health(json!({"protocol": "COMMAND"})), "/healthChecks(0)/command not defined"),
        (health(json!({"ipProtocol": "IPv6", "protocol": "MESOS_HTTP"})), family),
        (on_docker(json!({"ipProtocol": "IPv6", "protocol": "MESOS_HTTP"})), ""),
        (on_docker(json!({"ipProtocol": "IPv6", "protocol": "HTTP"})), family),
        (
            json!({"healthChecks": [mesos_tcp, {"protocol": "MESOS_HTTP"}]}),
            "/ AppDefinition can contain at most one Mesos health check",
        ),
        (json!({"healthChecks": [mesos_tcp, {"command": {"value": "x"}}, {}]}), ""),
        (json!({"check": exec}), ""),
        (json!({"check": {}}), one_of),
        (json!({"check": {"tcp": {}, "http": {}}}), one_of),
        (
            json!({"check": {"tcp": {"portIndex": 3}}}),
            "/check/tcp check port indices must address an element of the ports array or container \
             port mappings.",
        ),
        (
            json!({"check": exec, "container": {"docker": {"image": "x"}}}),
            "/check checks are not supported with the Docker container type",
        ),
    ]);
}

#[test]
fn readiness_is_asked_of_a_port_by_name_and_in_time() {
    let ready = |check: Value| json!({"readinessChecks": [check]});
    let of = |name: &str| json!({"portName": name});
    check(&[
        (ready(of("default")), ""),
        (
            ready(json!({})),
            "/readinessChecks(0)/portName No port definition reference for portName http-api",
        ),
        (
            json!({"readinessChecks": [of("default"), of("default")]}),
            "/readinessChecks got 2, expected 1 or less",
        ),
        (
            ready(json!({"portName": "default", "intervalSeconds": 5, "timeoutSeconds": 5})),
            "/readinessChecks(0)/timeoutSeconds got 5, expected less than 5",
        ),
        (
            json!({
                "networks": [{"mode": "container/bridge"}], "readinessChecks": [of("web")],
                "container": {"type": MESOS, "portMappings": [{"name": "web"}]},
            }),
            "",
        ),
    ]);
}

#[test]
fn resources_have_limits_above_them_and_gpus_their_container() {
    let limits = |limits: Value| json!({"cpus": 1, "mem": 64, "resourceLimits": limits});
    check(&[
        (limits(json!({"cpus": 1, "mem": "unlimited"})), ""),
        (limits(json!({"cpus": 0.5})), "/resourceLimits/cpus got 0.5, expected 1.0 or more"),
        (limits(json!({"mem": 63})), "/resourceLimits/mem got 63.0, expected 64.0 or more"),
        (json!({"gpus": 1}), ""),
        (
            json!({"gpus": 1, "container": {"docker": {"image": "x"}}}),
            "/ GPU resources only work with the Mesos containerizer",
        ),
    ]);
    let mut without = Settings::default();
    without.features.remove("gpu_resources");
    let told = broken_with(&json!({"gpus": 1}), &without, None);
    assert_eq!(told, ["/ Feature gpu_resources is not enabled: it is not part of this version"]);
    assert_eq!(broken_with(&json!({"gpus": 0}), &without, None), [""; 0]);
}

#[test]
fn images_belong_to_their_engine() {
    let docker = |docker: Value| json!({"container": {"docker": docker}});
    let of_mesos = |docker: Value| mesos(&json!({"docker": docker}));
    let linux = |linux: Value| mesos(&json!({"linuxInfo": linux}));
    let one_of =
        "/container/linuxInfo/seccomp exactly one of profileName and unconfined must be set";
    check(&[
        (json!({"container": {}}), "/container/docker not defined"),
        (mesos(&json!({})), ""),
        (docker(json!({})), "/container/docker/image must not be empty"),
        (docker(json!({"image": ""})), "/container/docker/image must not be empty"),
        (
            docker(json!({"image": "x", "credential": {"principal": "p"}})),
            "/container/docker/credential must be empty",
        ),
        (docker(json!({"image": "x", "privileged": true})), ""),
        (
            docker(json!({"image": "x", "pullConfig": {"secret": "s"}})),
            "/container/docker/pullConfig pullConfig is not supported with Docker containerizer",
        ),
        (
            of_mesos(json!({"image": "x", "parameters": [{"key": "k", "value": "v"}]})),
            "/container/docker/parameters must be empty",
        ),
        (
            of_mesos(json!({"image": "x", "privileged": true})),
            "/container/docker/privileged privileged is only supported with the Docker containerizer",
        ),
        (linux(json!({"seccomp": {"unconfined": true}})), ""),
        (linux(json!({"seccomp": {"profileName": "p"}})), ""),
        (linux(json!({"seccomp": {}})), one_of),
        (linux(json!({"seccomp": {"profileName": "p", "unconfined": true}})), one_of),
        (
            linux(json!({"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 1}})),
            "/container/linuxInfo/ipcInfo shmSize may only be set with the mode PRIVATE",
        ),
    ]);
}

#[test]
fn volumes_of_a_node_keep_their_rules() {
    let volumes = |volume: Value| mesos(&json!({"volumes": [volume]}));
    let persistent = |path: &str, persistent: Value| {
        volumes(json!({"containerPath": path, "persistent": persistent}))
    };
    let at = "/container/volumes(0)";
    let held = |constraint: Value| {
        persistent("d", json!({"size": 1, "type": "path", "constraints": [constraint]}))
    };
    let constraint = |text: &str| format!("{at}/persistent/constraints(0) {text}");
    check(&[
        (persistent("d", json!({"size": 1})), ""),
        (
            persistent("d", json!({"size": 0})),
            &format!("{at}/persistent/size got 0, expected more than 0"),
        ),
        (
            persistent("d/e", json!({"size": 1})),
            &format!("{at}/containerPath value must not contain \"/\""),
        ),
        (persistent("..", json!({"size": 1})), &format!("{at}/containerPath is not one of (.,..)")),
        (
            volumes(json!({"containerPath": "d", "mode": "RO", "persistent": {"size": 1}})),
            &format!("{at}/mode got RO, expected RW"),
        ),
        (
            persistent("d", json!({"size": 5, "maxSize": 9})),
            &format!("{at}/persistent Only mount volumes can have maxSize"),
        ),
        (persistent("d", json!({"size": 5, "maxSize": 9, "type": "mount"})), ""),
        (
            persistent("d", json!({"size": 5, "maxSize": 5, "type": "mount"})),
            &format!("{at}/persistent Max size must be larger than size"),
        ),
        (
            persistent("d", json!({"size": 1, "constraints": [["path", "LIKE", "/d"]]})),
            &format!("{at}/persistent Constraints on root volumes are not supported"),
        ),
        (held(json!(["path", "UNLIKE", "/d.*"])), ""),
        (held(json!(["path", "LIKE", "("])), &constraint("Invalid regular expression")),
        (held(json!(["path", "IS", "/d"])), &constraint("Operator must be one of LIKE, UNLIKE")),
        (held(json!(["rack", "LIKE", "1"])), &constraint("Unsupported constraint")),
        (
            volumes(json!({"containerPath": "d", "mode": "RO"})),
            &format!("{at}/hostPath must not be empty"),
        ),
    ]);
}

#[test]
fn volumes_of_a_driver_keep_theirs() {
    let external = |kind: &str, external: Value, instances: u32| {
        let volume = json!({"containerPath": "/d", "mode": "RW", "external": external});
        let mut docker = json!({"type": kind, "volumes": [volume]});
        if kind == "DOCKER" {
            docker["docker"] = json!({"image": "x"});
        }
        json!({"instances": instances, "container": docker})
    };
    let dvdi = json!({"name": "v", "provider": "dvdi", "options": {"dvdi/driver": "rexray"}});
    let sized =
        json!({"name": "v", "provider": "dvdi", "size": 1, "options": {"dvdi/driver": "r"}});
    let csi = json!({"name": "v", "provider": "csi", "options": {"pluginName": "p"}});
    let shared = json!({"name": "v", "provider": "csi", "shared": true});
    let at = "/container/volumes(0)";
    check(&[
        (external(MESOS, dvdi.clone(), 1), ""),
        (external("DOCKER", dvdi.clone(), 1), ""),
        (
            external(MESOS, dvdi, 2),
            "/instances got more than 1, expected 1 or less with external volumes",
        ),
        (external(MESOS, shared, 2), ""),
        (external(MESOS, sized.clone(), 1), ""),
        (
            external("DOCKER", sized, 1),
            &format!("{at}/external/size must be undefined for Docker containers"),
        ),
        (external(MESOS, csi.clone(), 1), ""),
        (
            external("DOCKER", csi, 1),
            &format!("{at} CSI volumes are only supported with the Mesos containerizer"),
        ),
        (
            external(MESOS, json!({"name": "v", "provider": "nfs"}), 1),
            &format!("{at}/external/provider is not one of (dvdi,csi)"),
        ),
        (
            external(MESOS, json!({"name": "v", "provider": "dvdi"}), 1),
            &format!("{at}/external/options must contain dvdi/driver"),
        ),
        (
            external(MESOS, json!({}), 1),
            &format!("{at}/external/name not defined; {at}/external/provider not defined"),
        ),
    ]);
}

#[test]
fn secrets_are_declared_before_they_are_used() {
    let mut settings = Settings::default();
    settings.features.insert("secrets");
    let of = |more: Value| broken_with(&more, &settings, None).join("; ");
    let declared = json!({"s": {"source": "/s"}});
    assert_eq!(of(json!({"secrets": declared, "env": {"A": {"secret": "s"}}})), "");
    let undefined = of(json!({"secrets": declared, "env": {"A": {"secret": "t"}}}));
    assert_eq!(undefined, "/env/A/secret references an undefined secret");
    let volume = json!([{"containerPath": "f", "secret": "t"}]);
    let lost = "/container/volumes(0) volume.secret must refer to an existing secret";
    assert_eq!(of(mesos(&json!({"volumes": volume}))), lost);
    let image = json!({"image": "x", "pullConfig": {"secret": "t"}});
    let lost = "/container/docker/pullConfig pullConfig.secret must refer to an existing secret";
    assert_eq!(of(mesos(&json!({"docker": image}))), lost);
    // Without the feature nothing of it is taken, declared or not.
    let off = "Feature secrets is not enabled: it is not part of this version";
    let told = broken(&json!({"secrets": declared, "env": {"A": {"secret": "s"}}}));
    assert_eq!(told, [format!("/secrets {off}"), format!("/env {off}")]);
    assert_eq!(broken(&json!({"env": {"": "x"}})), ["/env must not be empty"]);
}

#[test]
fn strategies_fit_what_is_replaced() {
    let upgrade = |health: f64, over: f64| json!({"minimumHealthCapacity": health, "maximumOverCapacity": over});
    let single = |health: f64, over: f64, n: u32| {
        json!({
            "labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": n,
            "upgradeStrategy": upgrade(health, over),
        })
    };
    let resident = |more: Value| {
        let mut app = mesos(&json!({"volumes": [
            {"containerPath": "d", "persistent": {"size": 1}}]}));
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app
    };
    let lost = |inactive: u32, expunge: u32| {
        json!({"unreachableStrategy":
            {"inactiveAfterSeconds": inactive, "expungeAfterSeconds": expunge}})
    };
    check(&[
        (json!({"upgradeStrategy": upgrade(0.0, 1.0)}), ""),
        (
            json!({"upgradeStrategy": upgrade(1.1, -0.5)}),
            "/upgradeStrategy/minimumHealthCapacity got 1.1, expected between 0.0 and 1.0; \
             /upgradeStrategy/maximumOverCapacity got -0.5, expected between 0.0 and 1.0",
        ),
        (single(0.0, 0.0, 1), ""),
        (single(0.0, 0.0, 0), ""),
        (single(0.0, 0.0, 2), "/ Single instance app may only have one instance"),
        (single(1.0, 0.0, 1), "/upgradeStrategy/minimumHealthCapacity got 1.0, expected 0.0"),
        (resident(json!({})), ""),
        (
            resident(json!({"upgradeStrategy": upgrade(0.5, 0.5)})),
            "/upgradeStrategy/maximumOverCapacity got 0.5, expected 0.0",
        ),
        (resident(lost(1, 2)), "/ unreachableStrategy must be disabled for resident tasks"),
        (resident(json!({"role": "*"})), "/role got *, expected a role of its own"),
        (
            resident(json!({"acceptedResourceRoles": ["g"]})),
            "/acceptedResourceRoles got a reserved role, expected one of: [*]",
        ),
        (lost(5, 5), ""),
        (
            lost(6, 5),
            "/unreachableStrategy inactiveAfterSeconds must be less or equal to expungeAfterSeconds",
        ),
    ]);
}

#[test]
fn labels_that_mean_something_are_looked_at() {
    let labels = |labels: Value| json!({ "labels": labels });
    let migration = "/ DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when \
        using DCOS_MIGRATION_API_VERSION";
    let migrates = |version: &str| {
        labels(json!({
            "DCOS_MIGRATION_API_VERSION": version, "DCOS_PACKAGE_FRAMEWORK_NAME": "f",
            "DCOS_MIGRATION_API_PATH": "/v1",
        }))
    };
    check(&[
        (migrates("v1"), ""),
        (migrates("v2"), migration),
        (labels(json!({"DCOS_MIGRATION_API_VERSION": "v1"})), migration),
        (labels(json!({"DCOS_MIGRATION_API_VERSION": ""})), ""),
        (labels(json!({"GPU_SCHEDULING_BEHAVIOR": "restricted"})), ""),
        (
            labels(json!({"GPU_SCHEDULING_BEHAVIOR": "greedy"})),
            "/labels/GPU_SCHEDULING_BEHAVIOR is not one of (restricted,unrestricted)",
        ),
    ]);
}

#[test]
fn roles_are_those_one_may_have() {
    check(&[
        (json!({"role": "slave_public"}), ""),
        (json!({"role": "other"}), "/role got other, expected one of: [*, g, slave_public]"),
        (json!({"acceptedResourceRoles": ["*", "g"]}), ""),
        (json!({"acceptedResourceRoles": []}), "/acceptedResourceRoles must not be empty"),
        (
            json!({"acceptedResourceRoles": ["slave_public"]}),
            "/acceptedResourceRoles got slave_public, expected one of: [*, g]",
        ),
        (
            json!({"acceptedResourceRoles": ["-x"]}),
            "/acceptedResourceRoles(0) is not a valid role name; \
             /acceptedResourceRoles got -x, expected one of: [*, g]",
        ),
    ]);
    let pinned = |role: &str| broken_with(&json!({"role": role}), &Settings::default(), Some("g"));
    assert_eq!(pinned("g"), [""; 0]);
    assert_eq!(
        pinned("slave_public"),
        ["/role the role g of a running app changes only with the query force=true"]
    );
}

#[test]
fn constraints_have_the_value_their_operator_wants() {
    let number = "Value specified but not used";
    let no_pattern = "A regular expression value must be provided";
    let per = "Value was not specified or is not a number";
    let is = "IS only supports text of letters, digits, '_', '/', '.' and '-', and decimals";
    for (constraint, wanted) in [
        (&["hostname", "UNIQUE"][..], Ok("UNIQUE")),
        (&["hostname", "unique"], Ok("UNIQUE")),
        (&["hostname", "UNIQUE", "x"], Err(number)),
        (&["rack", "CLUSTER"], Ok("CLUSTER")),
        (&["rack", "CLUSTER", "1"], Ok("CLUSTER")),
        (&["rack", "GROUP_BY"], Ok("GROUP_BY")),
        (&["rack", "GROUP_BY", "3"], Ok("GROUP_BY")),
        (&["rack", "GROUP_BY", "many"], Err("Value was specified but is not a number")),
        (&["rack", "MAX_PER", "2"], Ok("MAX_PER")),
        (&["rack", "MAX_PER", "2.5"], Err(per)),
        (&["rack", "MAX_PER"], Err(per)),
        (&["rack", "LIKE", "r[0-9]+"], Ok("LIKE")),
        (&["rack", "LIKE"], Err(no_pattern)),
        (&["rack", "UNLIKE"], Err(no_pattern)),
        (&["rack", "UNLIKE", "["], Err("'[' is not a valid regular expression")),
        // Small as text, far too large for the placement of every instance.
        (
            &["rack", "LIKE", "(a{500}){500}"],
            Err("'(a{500}){500}' is not a valid regular expression"),
        ),
        (&["rack", "IS", "a/b_c.d-e"], Ok("IS")),
        (&["rack", "IS", "-1.5e3"], Ok("IS")),
        (&["rack", "IS", "a b"], Err(is)),
        (&["rack", "IS", "{a}"], Err(is)),
        (&["", "UNIQUE"], Err("Missing field and operator")),
        (&["rack"], Err("Each constraint must have either 2 or 3 fields")),
        (&["a", "IS", "b", "c"], Err("Each constraint must have either 2 or 3 fields")),
    ] {
        let list: Vec<String> = constraint.iter().map(|part| (*part).to_owned()).collect();
        let parsed = placement::parse(&list).map(|c| c.operator.as_str());
        assert_eq!(parsed, wanted.map_err(str::to_owned), "{constraint:?}");
    }
    let told = broken(&json!({"constraints": [["a", "UNIQUE"], ["a", "NEAR"]]}));
    assert!(told[0].starts_with("/constraints(1) Constraint operator must be one of"), "{told:?}");
}

proptest! {
    /// The pattern that answers tell is the one that is held to.
    #[test]
    fn segments_are_what_the_answer_says(text in "[a-cA0.-]{0,7}") {
        let told = ID_PATTERN.split('\'').nth(1).unwrap();
        let told = told.trim_start_matches('^').trim_end_matches('$');
        let told = regex::Regex::new(&format!("^(?:{told})$")).unwrap();
        // `.` and `..` never get this far: a path has resolved them.
        let is_dots = text == "." || text == "..";
        prop_assert_eq!(is_segment(&text), told.is_match(&text) && !is_dots);
    }
}
