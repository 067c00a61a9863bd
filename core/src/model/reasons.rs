//! The reasons of conditions, each one word: that of Ready is what `kubectl get` shows as the state.

/// All instances run.
pub const RUNNING: &str = "Running";
/// Not all instances have run yet, or none did a moment ago.
pub const STARTING: &str = "Starting";
/// Some instances are being started, replaced or removed.
pub const REPLACING: &str = "Replacing";
/// An update rolls forward.
pub const UPDATING: &str = "Updating";
/// An update rolls back.
pub const ROLLING_BACK: &str = "RollingBack";
/// A person has paused the update.
pub const UPDATE_PAUSED: &str = "UpdatePaused";
/// The update waits for a pulse.
pub const AWAITING_PULSE: &str = "AwaitingPulse";
/// The spec's config failed and was taken back; the last good one runs.
pub const ROLLED_BACK: &str = "RolledBack";
/// The spec's config failed and was not taken back.
pub const UPDATE_FAILED: &str = "UpdateFailed";
/// The update to the spec's config was given up; instances may be of several configs.
pub const UPDATE_ABORTED: &str = "UpdateAborted";
/// The update to the spec's config can't go on.
pub const UPDATE_ERROR: &str = "UpdateError";
/// What ran was adopted, and it is not what the spec says.
pub const ADOPTED: &str = "Adopted";
/// The cluster-wide switch holds back what would be done.
pub const FROZEN: &str = "Frozen";
/// The spec holds back the update that its config asks for.
pub const UPDATE_HELD: &str = "UpdateHeld";
/// The spec's config runs where its scope says so, and others elsewhere.
pub const PARTLY_UPDATED: &str = "PartlyUpdated";
/// There is nothing to say: the condition does not hold.
pub const SETTLED: &str = "Settled";
/// The spec can't be acted on although the schema let it through.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The API server refused a Pod of this template; the message has its words.
pub const TEMPLATE_REFUSED: &str = "TemplateRefused";
/// The job key, or a name the service needs, belongs to another object.
pub const NAME_CONFLICT: &str = "NameConflict";
/// Instances can't be made since their stored config was removed.
pub const REVISION_MISSING: &str = "RevisionMissing";
/// A ConfigMap or Secret that the template names is not there, or is not what it was.
pub const CONFIG_MISSING: &str = "ConfigMissing";
/// A Secret that the template names can't be read.
pub const CONFIG_DENIED: &str = "ConfigDenied";
/// What the job asks for is beyond its role's quota.
pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
/// The job's tier is not there.
pub const TIER_MISSING: &str = "TierMissing";
/// The job's role may not use its tier.
pub const TIER_NOT_ALLOWED: &str = "TierNotAllowed";
/// The job's role may not use the pool of dedicated nodes it asks for.
pub const DEDICATED_NOT_ALLOWED: &str = "DedicatedNotAllowed";

/// The job has succeeded.
pub const COMPLETE: &str = "Complete";
/// The job has failed: too many of its instances have.
pub const INSTANCES_FAILED: &str = "InstancesFailed";
/// The job has failed: it has taken longer than it may.
pub const TIMED_OUT: &str = "TimedOut";
/// The job was ended: by the next run of its cron, or since a person asked.
pub const KILLED: &str = "Killed";
/// It is decided how the job ends; its last Pods are ending.
pub const ENDING: &str = "Ending";
/// The job is suspended.
pub const SUSPENDED: &str = "Suspended";
/// The job waits for others.
pub const WAITING: &str = "Waiting";
/// The job waits for itself.
pub const DEPENDENCY_CYCLE: &str = "DependencyCycle";

/// No instance is known to be without a place.
pub const ALL_PLACED: &str = "AllPlaced";
/// Instances have no place; the message says which, and why.
pub const PENDING: &str = "Pending";

/// A cron's runs are started as they are due.
pub const SCHEDULED: &str = "Scheduled";
/// A cron's schedule has no times left.
pub const SCHEDULE_ENDED: &str = "ScheduleEnded";

/// Why an instance has no Pod, which no condition has as its reason: it ended young too often.
pub const THROTTLED: &str = "Throttled";

const ALL: &[&str] = &[
    RUNNING,
    STARTING,
    REPLACING,
    UPDATING,
    ROLLING_BACK,
    UPDATE_PAUSED,
    AWAITING_PULSE,
    ROLLED_BACK,
    UPDATE_FAILED,
    UPDATE_ABORTED,
    UPDATE_ERROR,
    ADOPTED,
    FROZEN,
    UPDATE_HELD,
    PARTLY_UPDATED,
    SETTLED,
    INVALID_SPEC,
    TEMPLATE_REFUSED,
    NAME_CONFLICT,
    REVISION_MISSING,
    CONFIG_MISSING,
    CONFIG_DENIED,
    QUOTA_EXCEEDED,
    TIER_MISSING,
    TIER_NOT_ALLOWED,
    DEDICATED_NOT_ALLOWED,
    COMPLETE,
    INSTANCES_FAILED,
    TIMED_OUT,
    KILLED,
    ENDING,
    SUSPENDED,
    WAITING,
    DEPENDENCY_CYCLE,
    ALL_PLACED,
    PENDING,
    SCHEDULED,
    SCHEDULE_ENDED,
];

/// The reason of this name, if it is one.
pub fn known(text: &str) -> Option<&'static str> {
    ALL.iter().find(|reason| **reason == text).copied()
}
