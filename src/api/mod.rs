//! Our own API, /tepui/v1, and the embedded page.

pub mod ui;
