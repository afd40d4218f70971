//! Lists of jobs. Their statements say what was asked for and nothing else, so that an index
//! answers them, however many jobs there are.

use uuid::Uuid;

use crate::database::{Database, both};
use crate::job::{JOB_COLUMNS, Job};
use crate::{Result, State};

/// Which jobs to list. Each condition that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Asked for by this key.
    pub owner: Option<Uuid>,
    /// Made before this one.
    pub before: Option<Uuid>,
    /// That came through the dialect of this name.
    pub dialect: Option<String>,
    /// Whose request has this label.
    pub label: Option<String>,
}

/// A page of a list, the newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins, if there is one.
    pub next: Option<Uuid>,
}

impl Filter {
    /// Whether a job can be like this: Postgres refuses texts with this character, and no row
    /// holds one.
    fn can_hold(&self) -> bool {
        !self.label.as_ref().is_some_and(|label| label.contains('\0'))
    }

    /// `FROM jobs WHERE …`, and how many parameters that has: the values that [`bind!`] binds.
    fn from(&self) -> (String, usize) {
        // There are few kinds: their index is for those who ask for nothing that tells more.
        let kind = match (self.owner, self.state) {
            (None, None) => "kind = ?",
            _ => "kind || '' = ?",
        };
        // The index has the beginnings of labels.
        let label =
            "substr(request ->> 'label', 1, 64) = substr(?, 1, 64) AND request ->> 'label' = ?";
        let conditions = [
            (self.state.is_some(), "state = ?"),
            (self.kind.is_some(), kind),
            (self.owner.is_some(), "owner = ?"),
            (self.before.is_some(), "id < ?"),
            (self.dialect.is_some(), "request ->> 'dialect' = ?"),
            (self.label.is_some(), label),
        ];
        let set = conditions.into_iter().filter(|(is_set, _)| *is_set);
        let set: Vec<String> =
            set.zip(1..).map(|((_, text), n)| text.replace('?', &format!("${n}"))).collect();
        let wanted = if set.is_empty() { "true".into() } else { set.join(" AND ") };
        (format!("FROM jobs WHERE {wanted}"), set.len())
    }

    fn select(&self, order: &str) -> String {
        let (from, bound) = self.from();
        format!("SELECT {JOB_COLUMNS} {from} ORDER BY id {order} LIMIT ${}", bound + 1)
    }

    fn count(&self) -> String {
        format!("SELECT COUNT(*) {}", self.from().0)
    }
}

/// Binds the values that a filter has.
macro_rules! bind {
    ($query:expr, $filter:expr) => {{
        let mut query = $query;
        if let Some(state) = $filter.state {
            query = query.bind(state.name());
        }
        if let Some(kind) = &$filter.kind {
            query = query.bind(kind);
        }
        for id in [$filter.owner, $filter.before].into_iter().flatten() {
            query = query.bind(id);
        }
        for text in [&$filter.dialect, &$filter.label].into_iter().flatten() {
            query = query.bind(text);
        }
        query
    }};
}

impl Database {
    /// Jobs, the newest first.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn jobs(&self, filter: &Filter, limit: u32) -> Result<Page<Job>> {
        let mut items = self.ordered(filter, "DESC", i64::from(limit) + 1).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Ok(Page { next: items.last().filter(|_| more).map(|job| job.id), items })
    }

    /// The oldest of these jobs.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn oldest_job(&self, filter: &Filter) -> Result<Option<Job>> {
        Ok(self.ordered(filter, "ASC", 1).await?.pop())
    }

    /// How many of these jobs there are.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn count_jobs(&self, filter: &Filter) -> Result<i64> {
        if !filter.can_hold() {
            return Ok(0);
        }
        Ok(both!(self, pool => {
            bind!(sqlx::query_scalar(sqlx::AssertSqlSafe(filter.count())), filter)
                .fetch_one(pool).await?
        }))
    }

    async fn ordered(&self, filter: &Filter, order: &str, limit: i64) -> Result<Vec<Job>> {
        if !filter.can_hold() {
            return Ok(Vec::new());
        }
        Ok(both!(self, pool => {
            bind!(sqlx::query_as(sqlx::AssertSqlSafe(filter.select(order))), filter)
                .bind(limit).fetch_all(pool).await?
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::explain::Empty;

    #[tokio::test]
    async fn every_list_is_found_in_an_index() {
        let empty = Empty::new().await;
        let all = Filter {
            state: Some(State::Running),
            kind: Some("random".into()),
            owner: Some(Uuid::nil()),
            before: Some(Uuid::nil()),
            dialect: Some("a1111".into()),
            label: Some("task".into()),
        };
        let none = Filter::default;
        let state = Filter { state: all.state, ..none() };
        let owner = Filter { owner: all.owner, ..none() };
        let kind = Filter { kind: all.kind.clone(), ..none() };
        let label = Filter { label: all.label.clone(), ..none() };
        let both = Filter { state: all.state, ..owner.clone() };
        for (filter, found) in [
            (Filter { before: all.before, ..none() }, "sqlite_autoindex_jobs_1 (id<?)"),
            (Filter { before: all.before, ..state.clone() }, "jobs_state (state=? AND id<?)"),
            (Filter { dialect: all.dialect.clone(), ..state.clone() }, "jobs_state (state=?)"),
            (Filter { kind: all.kind.clone(), ..state.clone() }, "jobs_state (state=?)"),
            (Filter { before: all.before, ..owner.clone() }, "jobs_owner (owner=? AND id<?)"),
            (Filter { kind: all.kind.clone(), ..owner.clone() }, "jobs_owner (owner=?)"),
            (both.clone(), "jobs_owner_state (owner=? AND state=?)"),
            (
                Filter { dialect: all.dialect.clone(), ..both },
                "jobs_owner_state (owner=? AND state=?)",
            ),
            (Filter { before: all.before, ..kind.clone() }, "jobs_kind (kind=? AND id<?)"),
            (Filter { owner: all.owner, ..label.clone() }, "jobs_label (<expr>=? AND owner=?)"),
            (state, "jobs_state (state=?)"),
            (owner, "jobs_owner (owner=?)"),
            (kind, "jobs_kind (kind=?)"),
        ] {
            // Any index of these columns counts: nothing has to be in order.
            let columns = &found[found.find('(').unwrap()..];
            for (statement, end) in [
                (filter.select("DESC"), found),
                (filter.select("ASC"), found),
                (filter.count(), columns),
            ] {
                let plan = empty.plan(&statement).await;
                let [step] = &plan[..] else { panic!("{statement}: {plan:?}") };
                assert!(
                    step.starts_with("SEARCH jobs ") && step.ends_with(end),
                    "{statement}: {step}"
                );
            }
        }
        // What has one label is little, and sorted.
        let plan = empty.plan(&label.select("DESC")).await;
        assert_eq!(plan[0], "SEARCH jobs USING INDEX jobs_label (<expr>=?)");
        let plan = empty.plan(&none().select("DESC")).await;
        assert_eq!(
            plan,
            ["SCAN jobs USING INDEX sqlite_autoindex_jobs_1"],
            "as far as a page goes"
        );
    }
}
