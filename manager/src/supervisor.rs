//! What a service manager is told (`sd_notify(3)`), where one has started the program: nobody else listens.

use sd_notify::NotifyState;

use crate::log::Logger;

/// It serves.
pub(crate) fn ready(logger: &Logger) {
    tell(&[NotifyState::Ready], logger);
}

/// The configuration is loaded again, until it is [`ready`].
pub(crate) fn reloading(logger: &Logger) {
    let mut words = vec![NotifyState::Reloading];
    words.extend(NotifyState::monotonic_usec_now().ok());
    tell(&words, logger);
}

/// No more connections are taken.
pub(crate) fn stopping(logger: &Logger) {
    tell(&[NotifyState::Stopping], logger);
}

fn tell(words: &[NotifyState<'_>], logger: &Logger) {
    if let Err(error) = sd_notify::notify(words) {
        logger.warning(|| format!("[service] the service manager at NOTIFY_SOCKET cannot be told: {error}"));
    }
}
