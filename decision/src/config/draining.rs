//! What is done for an EC2 instance that is about to go away. Pure.

/// What all workers share of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draining {
    /// The lifecycle hook that is held while our tasks run on an instance, and completed when they
    /// have ended, by its name: another's hook is not ours to complete.
    pub hook: Option<String>,
}

/// What becomes of a worker's tasks on an instance that is certain to go away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrain {
    /// They run until they end, or until the instance does.
    #[default]
    Leave,
    /// They are stopped: their containers get SIGTERM while there is time left.
    StopTasks,
}
