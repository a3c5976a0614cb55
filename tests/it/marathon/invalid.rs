//! Malformed definitions: status, path and text of each (docs/compat/marathon.md, "App model").

use tepui::http::Body;

use super::cluster::Cluster;

/// Body of a POST, status, and the whole `message` and `details` (or a part of them).
type Case = (&'static str, u16, &'static str);

/// Wrong types and bounds: all of one object at once.
const TYPES: &[Case] = &[
    ("", 400, r#"{"message":"Please specify data in JSON format","details":"#),
    ("{", 400, r#"{"message":"Invalid JSON","details":"EOF"#),
    (r#"{"id":"/a"} x"#, 400, r#"{"message":"Invalid JSON","details":"trailing"#),
    ("[]", 422, r#"[{"path":"/","errors":["error.expected.jsobject"]}]"#),
    (
        r#"{"cmd":"sleep 1"}"#,
        422,
        r#"[{"path":"/id","errors":["'id' is undefined on object: {\"cmd\":\"sleep 1\"}"]}]"#,
    ),
    (
        r#"{"id":7,"cmd":"sleep 1"}"#,
        422,
        r#"[{"path":"/id","errors":["error.expected.jsstring"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","cpus":"1","instances":-1,"env":[]}"#,
        422,
        r#"[{"path":"/cpus","errors":["error.expected.jsnumber"]},{"path":"/env","errors":["error.expected.jsobject"]},{"path":"/instances","errors":["error.min"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","cpus":0}"#,
        422,
        r#"[{"path":"/cpus","errors":["error.min"]}]"#,
    ),
    (r#"{"id":"/a","cmd":"sleep 1","mem":-1}"#, 422, r#"[{"path":"/mem","errors":["error.min"]}]"#),
    (
        r#"{"id":"/a","cmd":"sleep 1","resourceLimits":{"cpus":1e17,"mem":1e17}}"#,
        422,
        r#"[{"path":"/resourceLimits/cpus","errors":["error.max"]},{"path":"/resourceLimits/mem","errors":["error.max"]}]"#,
    ),
    (r#"{"id":"/a","cmd":""}"#, 422, r#"[{"path":"/cmd","errors":["error.minLength"]}]"#),
    (
        r#"{"id":"/a","cmd":"sleep 1","backoffFactor":0.9}"#,
        422,
        r#"[{"path":"/backoffFactor","errors":["error.min"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","killSelection":"RANDOM"}"#,
        422,
        r#"[{"path":"/killSelection","errors":["error.unknown.enum.literal"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","portDefinitions":[{"port":70000},{"name":"Bad_Name"}]}"#,
        422,
        r#"[{"path":"/portDefinitions(0)/port","errors":["error.max"]},{"path":"/portDefinitions(1)/name","errors":["error.pattern"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","fetch":[{"extract":true}]}"#,
        422,
        r#"[{"path":"/fetch(0)/uri","errors":["'uri' is undefined on object: {\"extract\":true}"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","requirePorts":"yes","labels":{"a":1}}"#,
        422,
        r#"[{"path":"/labels/a","errors":["error.expected.jsstring"]},{"path":"/requirePorts","errors":["error.expected.jsboolean"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","dependencies":"b"}"#,
        422,
        r#"[{"path":"/dependencies","errors":["error.expected.jsarray"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","env":{"A":{}}}"#,
        422,
        r#"[{"path":"/env/A/secret","errors":["error.path.missing"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","executor":"//other"}"#,
        422,
        r#"[{"path":"/executor","errors":["error.pattern"]}]"#,
    ),
];

/// Broken rules: message `Object is not valid`.
const RULES: &[Case] = &[
    (
        r#"{"id":"/A","cmd":"sleep 1"}"#,
        422,
        r#"[{"path":"/id","errors":["must fully match regular expression '"#,
    ),
    (r#"{"id":"/","cmd":"sleep 1"}"#, 422, r#"{"path":"/id","errors":["must not be root"]}"#),
    (
        r#"{"id":"/a/restart","cmd":"sleep 1"}"#,
        422,
        r#"{"path":"/id","errors":["must not end with any of [restart, tasks, versions]"]}"#,
    ),
    (r#"{"id":"/a","cmd":"x"}"#, 422, r#"[{"path":"/","errors":["must not be an empty string"]}]"#),
    (
        r#"{"id":"/a"}"#,
        422,
        r#"[{"path":"/","errors":["AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."]}]"#,
    ),
    (
        r#"{"id":"/p","containers":[{"name":"a","resources":{"cpus":1,"mem":64}}],"scaling":{"kind":"fixed","instances":1}}"#,
        422,
        r#"[{"path":"/","errors":["This is a pod: send it to /v2/pods."]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","args":["x"]}"#,
        422,
        "must either contain one of 'cmd' or 'args'",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","container":{"type":"DOCKER"}}"#,
        422,
        r#"[{"path":"/container/docker","errors":["not defined"]}]"#,
    ),
    (
        r#"{"id":"/a","container":{"docker":{"image":""}}}"#,
        422,
        r#"[{"path":"/container/docker/image","errors":["must not be empty"]}]"#,
    ),
    (
        r#"{"id":"/a","container":{"docker":{"image":"x","credential":{"principal":"p"}}}}"#,
        422,
        r#"{"path":"/container/docker/credential","errors":["must be empty"]}"#,
    ),
    (
        r#"{"id":"/a","container":{"type":"MESOS","docker":{"image":"x","privileged":true}}}"#,
        422,
        "/container/docker/privileged",
    ),
    (
        r#"{"id":"/a","container":{"type":"MESOS","docker":{"image":"x","parameters":[{"key":"a","value":"b"}]}}}"#,
        422,
        r#"{"path":"/container/docker/parameters","errors":["must be empty"]}"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","upgradeStrategy":{"minimumHealthCapacity":1.5,"maximumOverCapacity":-1}}"#,
        422,
        r#"[{"path":"/upgradeStrategy/minimumHealthCapacity","errors":["got 1.5, expected between 0.0 and 1.0"]},{"path":"/upgradeStrategy/maximumOverCapacity","errors":["got -1.0, expected between 0.0 and 1.0"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","constraints":[["hostname"]]}"#,
        422,
        r#"[{"path":"/constraints(0)","errors":["Each constraint must have either 2 or 3 fields"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","constraints":[["hostname","UNIQUE","x"],["zone","MAX_PER"],["zone","LIKE","("]]}"#,
        422,
        r#"[{"path":"/constraints(0)","errors":["Value specified but not used"]},{"path":"/constraints(1)","errors":["Value was not specified or is not a number"]},{"path":"/constraints(2)","errors":["'(' is not a valid regular expression"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","constraints":[["hostname","NEAR"]]}"#,
        422,
        "Constraint operator must be one of",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","acceptedResourceRoles":[]}"#,
        422,
        r#"[{"path":"/acceptedResourceRoles","errors":["must not be empty"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","acceptedResourceRoles":["other"]}"#,
        422,
        r#"[{"path":"/acceptedResourceRoles","errors":["got other, expected one of: [*, slave_public]"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","role":"other"}"#,
        422,
        r#"[{"path":"/role","errors":["got other, expected one of: [slave_public]"]}]"#,
    ),
    (
        r#"{"id":"/g/a","cmd":"sleep 1","role":"slave_public"}"#,
        422,
        r#"[{"path":"/role","errors":["got slave_public, expected one of: [g]"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","portDefinitions":[{"port":0,"name":"p"},{"port":0,"name":"p"}]}"#,
        422,
        r#"[{"path":"/portDefinitions","errors":["Port names must be unique."]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","portDefinitions":[{"port":80},{"port":80}]}"#,
        422,
        r#"[{"path":"/portDefinitions","errors":["Ports must be unique."]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","networks":[{"mode":"host"},{"mode":"container/bridge"}]}"#,
        422,
        "May specify a single host network",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","networks":[{"mode":"host","name":"n"}]}"#,
        422,
        r#"[{"path":"/networks","errors":["Host networks may not have names or labels"]}]"#,
    ),
    (
        r#"{"id":"/a","container":{"docker":{"image":"x"},"portMappings":[{"containerPort":80}]}}"#,
        422,
        r#"[{"path":"/","errors":["portMappings are not allowed with host-networking"]}]"#,
    ),
    (
        r#"{"id":"/a","container":{"docker":{"image":"x"},"portMappings":[{"containerPort":80}]},"networks":[{"mode":"container/bridge"}],"portDefinitions":[{"port":0}]}"#,
        422,
        r#"[{"path":"/","errors":["portDefinitions are only allowed with host-networking"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","healthChecks":[{"portIndex":3}]}"#,
        422,
        r#"[{"path":"/healthChecks(0)","errors":["Health check port indices must address an element of the ports array or container port mappings."]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","healthChecks":[{"protocol":"COMMAND"}]}"#,
        422,
        r#"[{"path":"/healthChecks(0)/command","errors":["not defined"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","healthChecks":[{"protocol":"MESOS_TCP"},{"protocol":"MESOS_HTTP"}]}"#,
        422,
        "at most one Mesos health check",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","healthChecks":[{"protocol":"MESOS_TCP","ipProtocol":"IPv6"}]}"#,
        422,
        "IPv6 can only be used for container type DOCKER",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","readinessChecks":[{"portName":"nope","timeoutSeconds":30,"intervalSeconds":30}]}"#,
        422,
        r#"[{"path":"/readinessChecks(0)/portName","errors":["No port definition reference for portName nope"]},{"path":"/readinessChecks(0)/timeoutSeconds","errors":["got 30, expected less than 30"]}]"#,
    ),
    (
        r#"{"id":"/a","container":{"docker":{"image":"x"}},"check":{"tcp":{}}}"#,
        422,
        r#"{"path":"/check","errors":["#,
    ),
    (
        r#"{"id":"/a","container":{"docker":{"image":"x"}},"gpus":1}"#,
        422,
        "GPU resources only work with the Mesos containerizer",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","resourceLimits":{"cpus":0.5,"mem":"unlimited"}}"#,
        422,
        r#"[{"path":"/resourceLimits/cpus","errors":["got 0.5, expected 1.0 or more"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","env":{"A":{"secret":"s"}}}"#,
        422,
        r#"{"path":"/env/A/secret","errors":["references an undefined secret"]}"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","secrets":{"s":{"source":"x"}}}"#,
        422,
        r#"[{"path":"/secrets","errors":["Feature secrets is not enabled: it is not part of this version"]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","instances":2,"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}}"#,
        422,
        "Single instance app may only have one instance",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","labels":{"DCOS_MIGRATION_API_VERSION":"v2"}}"#,
        422,
        "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined",
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","unreachableStrategy":{"inactiveAfterSeconds":5,"expungeAfterSeconds":1}}"#,
        422,
        r#"{"path":"/unreachableStrategy","errors":["inactiveAfterSeconds must be less or equal"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","container":{"type":"MESOS","volumes":[{"containerPath":"a/b","mode":"RO","persistent":{"size":0}}]}}"#,
        422,
        r#"[{"path":"/container/volumes(0)/containerPath","errors":["value must not contain \"/\""]},{"path":"/container/volumes(0)/mode","errors":["got RO, expected RW"]},{"path":"/container/volumes(0)/persistent/size","errors":["got 0, expected more than 0"]}]"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","container":{"type":"MESOS","volumes":[{"containerPath":"d","mode":"RW","persistent":{"size":5}}]},"upgradeStrategy":{"maximumOverCapacity":0.5}}"#,
        422,
        r#"{"path":"/upgradeStrategy/maximumOverCapacity","errors":["got 0.5, expected 0.0"]}"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","fetch":[{"uri":"http://a b"}]}"#,
        422,
        r#"[{"path":"/fetch(0)/uri","errors":["URI has invalid syntax."]}]"#,
    ),
];

/// Old and new fields that contradict each other: 500, as the original has it.
const CONFLICTS: &[Case] = &[
    (
        r#"{"id":"/a","cmd":"sleep 1","uris":["http://x/a"],"fetch":[{"uri":"http://x/b"}]}"#,
        500,
        r#"{"message":"cannot specify both uris and fetch fields"}"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","ports":[80],"portDefinitions":[{"port":81}]}"#,
        500,
        r#"{"message":"cannot specify both ports and port definitions"}"#,
    ),
    (
        r#"{"id":"/a","cmd":"sleep 1","ports":[80],"ipAddress":{}}"#,
        500,
        r#"{"message":"cannot specify both an IP address and port"}"#,
    ),
    (r#"{"id":"/a","container":{"docker":{"image":"x","network":"NONE"}}}"#, 500, "NONE"),
    (
        r#"{"id":"/a","container":{"docker":{"image":"x","network":"HOST"}},"networks":[{"mode":"host"}]}"#,
        500,
        "must not specify both container.docker.network and networks",
    ),
];

async fn check(cases: &[Case], message: &str) {
    let dialect = Cluster::new(1).dialect();
    for (body, status, text) in cases {
        let request = ::http::Request::post("/v2/apps").body(Body::from((*body).to_owned()));
        let response = dialect.answer(request.unwrap()).await;
        let got = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
        assert_eq!(response.status().as_u16(), *status, "{body}\n{got}");
        assert!(got.contains(text), "{body}\nwanted {text}\ngot    {got}");
        assert!(got.contains(message), "{body}\n{got}");
    }
}

#[tokio::test]
async fn wrong_types_and_bounds_are_told_together() {
    check(&TYPES[..1], r#""message":"Please specify data in JSON format""#).await;
    check(&TYPES[1..], r#""message":"Invalid JSON""#).await;
}

#[tokio::test]
async fn broken_rules_are_told_with_path_and_text() {
    check(RULES, r#""message":"Object is not valid""#).await;
}

#[tokio::test]
async fn contradicting_fields_are_told() {
    check(CONFLICTS, r#"{"message":""#).await;
}

async fn post(dialect: &tepui::compat::marathon::Dialect, body: String) -> (u16, String) {
    let request = ::http::Request::post("/v2/apps").body(Body::from(body));
    let response = dialect.answer(request.unwrap()).await;
    let got = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
    (response.status().as_u16(), got)
}

#[tokio::test]
async fn a_definition_has_a_size_in_every_direction() {
    let dialect = Cluster::new(1).dialect();
    let list = |n: usize, item: &str| vec![item; n].join(",");
    let deep = format!(r#"{{"id":"{}","cmd":"sleep 1"}}"#, "/a".repeat(21));
    let long = format!(r#"{{"id":"/{}","cmd":"sleep 1"}}"#, "a".repeat(255));
    let fat = format!(r#"{{"id":"/a","cmd":"{}"}}"#, "x".repeat(1 << 20));
    let bad = format!(r#"{{"id":"/a","cmd":"sleep 1","dependencies":[{}]}}"#, list(9_000, "1"));
    let many = format!(r#"{{"id":"/a","cmd":"sleep 1","dependencies":[{}]}}"#, list(10_001, "1"));
    let rules = r#"["a","LIKE","b"]"#;
    let rules = format!(r#"{{"id":"/a","cmd":"sleep 1","constraints":[{}]}}"#, list(101, rules));
    let bomb = r#"{"id":"/a","cmd":"sleep 1","constraints":[["a","LIKE","((a{100}){100}){100}"]]}"#;
    for (body, text) in [
        (deep, "must not have more than 20 segments"),
        (long, "must not be longer than 255 bytes"),
        (fat, "the maximum is 1048576"),
        (bad, "there are more; these are the first 100"),
        (many, "has 10001 elements, the maximum is 10000"),
        (rules, "has 101 elements, the maximum is 100"),
        (bomb.to_owned(), "is not a valid regular expression"),
    ] {
        let (status, got) = post(&dialect, body).await;
        assert!(status == 422 && got.contains(text), "{text}: {status} {got}");
        assert!(got.len() < 20_000, "an answer of {} bytes", got.len());
    }
    let fits = format!(r#"{{"id":"{}","cmd":"sleep 1"}}"#, "/a".repeat(20));
    assert_eq!(post(&dialect, fits).await.0, 201);
    let request = ::http::Request::get("/v2/groups").body(Body::empty()).unwrap();
    assert_eq!(dialect.answer(request).await.status(), 200);
}

#[tokio::test]
async fn ten_thousand_dependencies_are_no_work() {
    let dialect = Cluster::new(1).dialect();
    let list: Vec<String> = (0..10_000).map(|n| format!(r#""/d/a{n}""#)).collect();
    let body = format!(r#"{{"id":"/q","cmd":"sleep 1","dependencies":[{}]}}"#, list.join(","));
    let began = std::time::Instant::now();
    assert_eq!(post(&dialect, body).await.0, 201);
    // 5.2 s for twice as many when each was compared with all others.
    println!("10,000 dependencies in {:?}", began.elapsed());
    let (status, _) = post(&dialect, r#"{"id":"/r","cmd":"sleep 1"}"#.to_owned()).await;
    assert_eq!(status, 201);
}
