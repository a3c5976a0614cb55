//! The server's hints for callers of its API in the words of the command line.

/// Requests the server names, and the command that makes them. Longer ones first.
const COMMANDS: [(&str, &str); 6] = [
    ("GET /tepui/v1/apps/{id}/why", "tepui why APP"),
    ("GET /tepui/v1/tasks?all", "tepui task list --all"),
    ("GET /tepui/v1/tasks", "tepui task list"),
    ("GET /tepui/v1/apps", "tepui app list"),
    ("GET /tepui/v1/nodes", "tepui node list"),
    ("GET /tepui/v1/deployments", "tepui deployment list"),
];

/// A hint for people: commands in place of requests; `None` when it is about the API only.
pub fn hint(text: &str) -> Option<String> {
    let told = COMMANDS.iter().fold(text.to_owned(), |text, (ask, say)| text.replace(ask, say));
    let is_about_the_api = ["/tepui/v1", "/v2/", "GET ", "POST ", "PUT ", "DELETE "];
    (!is_about_the_api.iter().any(|part| told.contains(part))).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_commands() {
        for (text, told) in [
            (
                "GET /tepui/v1/apps lists the apps there are",
                Some("tepui app list lists the apps there are"),
            ),
            (
                "no node; GET /tepui/v1/apps/{id}/why says why",
                Some("no node; tepui why APP says why"),
            ),
            ("GET /tepui/v1/openapi.yaml lists what there is", None),
            ("wait a moment", Some("wait a moment")),
        ] {
            assert_eq!(hint(text).as_deref(), told);
        }
    }

    /// A hint that is written later must not bring a path of the API to people's eyes.
    #[test]
    fn every_hint_of_the_server_has_words_or_is_left_out() {
        let api = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api");
        for file in std::fs::read_dir(api).unwrap().map(|f| f.unwrap().path()) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            for said in text.split("hint(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(!hint(said).unwrap_or_default().contains("/v1"), "{said}");
            }
        }
    }
}
