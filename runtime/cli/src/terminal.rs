//! Standard output and error, shared by the live line, the console sink, the log and everything else, so that none writes over another.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Where the live line stands, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terminal {
    line: Arc<OnceLock<ProgressBar>>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Starts the log on standard error; `STYGIAN_LOG` (`warn` by default) says what is logged.
    pub(crate) fn start_log(&self) {
        let filter = EnvFilter::try_from_env("STYGIAN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
        let color = std::io::stderr().is_terminal();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(color).with_writer(self.clone());
        // Only fails where a log is set up already.
        let _ = log.try_init();
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(crate) fn out(&self, text: &str) -> std::io::Result<()> {
        self.beside_line(|| {
            let mut out = anstream::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }

    /// Writes to standard error.
    pub(crate) fn err(&self, text: &str) {
        // Nobody to tell if standard error is gone.
        let _ = self.beside_line(|| anstream::stderr().lock().write_all(text.as_bytes()));
    }

    /// Whether problems may be coloured.
    pub(crate) fn err_has_color(&self) -> bool {
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// A line on standard error that is drawn anew all the time; `None` where standard error is no terminal.
    pub(crate) fn live_line(&self) -> Option<ProgressBar> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        line.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        line.enable_steady_tick(Duration::from_millis(200));
        Some(self.line.get_or_init(|| line).clone())
    }

    fn beside_line<T>(&self, write: impl FnOnce() -> T) -> T {
        match self.line.get() {
            Some(line) => line.suspend(write),
            None => write(),
        }
    }
}

/// Standard output as a writer, for the console sink.
pub(crate) struct Out(pub(crate) Terminal);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.beside_line(|| {
            let mut out = anstream::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Standard error as a writer, for the log: one write a line.
pub(crate) struct Log(Terminal);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.beside_line(|| std::io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        Log(self.clone())
    }
}
