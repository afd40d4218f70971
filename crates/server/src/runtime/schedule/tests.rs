//! Properties of the schedule.
