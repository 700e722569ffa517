//! Why a command ends without having done what was asked.

/// The outcome that is not success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration is refused: wrong usage.
    #[error("the configuration is refused:\n{0}")]
    Config(#[from] server::config::ConfigErrors),
    /// The broker could not start or had to stop.
    #[error("{0}")]
    Server(#[from] server::Error),
    /// A path that is not usable.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Server(_) | Self::Path { .. } => 1,
        }
    }
}
