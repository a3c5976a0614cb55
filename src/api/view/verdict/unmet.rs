//! What keeps an attempt from starting. Nothing ran, so nothing crashed and no output was left.

/// What could not be had before a program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    Image,
    /// What it asks to be fetched into its sandbox.
    Files,
    Container,
    Program,
}

impl Unmet {
    /// Of an attempt that ended with this message; its beginning is the agent's
    /// (`agent::prepare::NotStarted`). Agents of older releases say of an image what is of a container.
    pub fn of(message: &str) -> Option<Self> {
        let begins = [
            ("cannot fetch the image", Self::Image),
            ("Failed to fetch", Self::Files),
            ("cannot get the container ready", Self::Container),
            ("Container launch failed", Self::Program),
        ];
        begins.into_iter().find(|(text, _)| message.starts_with(text)).map(|(_, unmet)| unmet)
    }

    /// Said of the app.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Image => "its image cannot be fetched",
            Self::Files => "the files it asks for cannot be fetched",
            Self::Container => "its container cannot be made",
            Self::Program => "its program cannot be started",
        }
    }

    /// What to do about it.
    pub fn next(self, host: &str) -> String {
        match self {
            Self::Image => {
                format!("see that the image's name is right and that {host} can pull it")
            }
            Self::Files => {
                format!("see that the addresses to fetch are right and that {host} reaches them")
            }
            Self::Container => format!(
                "see that the container's settings are right and that {host} can pull its image"
            ),
            Self::Program => "see that the command is one that its image has".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::prepare::NotStarted, host::docker::EngineError};

    #[test]
    fn what_agents_say_is_understood() {
        let engine = || EngineError::NoSuch("manifest unknown".into());
        for (error, unmet) in [
            (NotStarted::Image(engine()), Some(Unmet::Image)),
            (NotStarted::Fetch("http://x".into()), Some(Unmet::Files)),
            (NotStarted::Create(engine()), Some(Unmet::Container)),
            (NotStarted::Start(engine()), Some(Unmet::Program)),
            (NotStarted::Cancelled, None),
        ] {
            assert_eq!(Unmet::of(&error.to_string()), unmet, "{error}");
        }
    }
}
