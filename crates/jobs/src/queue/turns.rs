//! Turns for many images of a job in a few statements.

/// Where an image waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its place in its job.
    pub(super) index: i32,
    /// The round of its turn.
    pub(super) round: i64,
    /// River's row.
    pub(super) river: i64,
}

/// A turn for each of these images of a job, in this order, for an owner who stands so. River makes
/// the first of each lane, and so tells those who listen; the others are copies of the last.
macro_rules! turns {
    ($client:expr, $tx:expr, $job:expr, $indexes:expr, $standing:expr) => {{
        let standing: $crate::queue::fairness::Standing = $standing;
        let wanted: Vec<(i32, (i64, &'static str))> =
            $indexes.enumerate().map(|(nth, index)| (index, standing.place(nth))).collect();
        let mut rivers = std::collections::HashMap::new();
        let mut copied = None;
        let mut copies = Vec::new();
        for &(index, (round, lane)) in &wanted {
            let turn = $crate::queue::turn(round);
            if copied.is_some_and(|(of, _)| of == lane) {
                copies.push((index, turn));
                continue;
            }
            let args = $crate::queue::ImageArgs { job: $job, index };
            let insert = $client.insert(args).opts($crate::queue::options(lane));
            let river = insert.tx(&mut $tx).await?.id();
            $tx.place(river, turn).await?;
            rivers.insert(index, river);
            copied = Some((lane, river));
        }
        if let Some((_, river)) = copied {
            rivers.extend($tx.copy(river, &copies).await?);
        }
        let mut places = Vec::with_capacity(wanted.len());
        for (index, (round, _)) in wanted {
            let river = *rivers.get(&index).ok_or(sqlx::Error::RowNotFound)?;
            places.push($crate::queue::turns::Place { index, round, river });
        }
        places
    }};
}

pub(super) use turns;
