//! Where tests break into the device; nothing elsewhere.

use super::schedule::Action;
use super::task::Failure;

/// What tests have the device do otherwise.
#[derive(Default)]
pub(super) struct Breakpoints {
    /// Called before each action, as a part of it; it may wait, or panic.
    #[cfg(test)]
    pub(super) hook: Option<super::tests::Hook>,
    /// Rows of a batch, whatever was measured.
    #[cfg(test)]
    pub(super) rows: Option<usize>,
}

impl Breakpoints {
    /// Just before an action.
    #[cfg(test)]
    pub(super) fn before(&self, action: &Action) -> Result<(), Failure> {
        let hook = || self.hook.iter().for_each(|hook| hook(action));
        super::unwind::caught(|| {
            hook();
            Ok(())
        })
    }

    /// Just before an action.
    #[cfg(not(test))]
    pub(super) fn before(&self, _: &Action) -> Result<(), Failure> {
        Ok(())
    }
}
