//! `By`: who asked for something, and by which door.

use std::net::IpAddr;

/// The one on whose word something was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct By {
    pub uid: String,
    pub way: Way,
    /// Where the request came from.
    pub peer: Option<IpAddr>,
}

/// What somebody used to ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Way {
    /// A page in a browser.
    Page,
    /// The command line.
    Cli,
    /// Our own API.
    #[default]
    Api,
    /// Marathon's API.
    Marathon,
    /// Mesos' API.
    Mesos,
    /// DC/OS' own API.
    Dcos,
}

impl Way {
    pub const ALL: [Self; 6] =
        [Self::Page, Self::Cli, Self::Api, Self::Marathon, Self::Mesos, Self::Dcos];

    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Cli => "cli",
            Self::Api => "api",
            Self::Marathon => "marathon",
            Self::Mesos => "mesos",
            Self::Dcos => "dcos",
        }
    }
}
