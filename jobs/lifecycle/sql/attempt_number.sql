/* Attempt number: which attempt of its own job j is at, without the epoch; see jobs/attempts.py. */
mod(j.attempt, {epoch})
