//! What a run will need of the brokers: found, reached, allowed, and fit.

use windrow_engine::kafka::examine::examine;
use windrow_engine::settings::Settings;

use super::super::App;
use super::Finding;

/// One finding a subject; none when no broker is given and no topic is read.
pub(super) fn brokers(settings: &Settings, app: &App) -> Vec<Finding> {
    if settings.kafka.is_empty() && settings.source.topic.is_empty() {
        return Vec::new();
    }
    let findings = examine(settings, &app.clock).into_iter().map(|verdict| match verdict.told {
        Ok(told) => Finding::fine(verdict.what, told),
        Err(error) => Finding::bad(verdict.what, &error),
    });
    findings.collect()
}
