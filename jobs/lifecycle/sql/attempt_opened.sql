/* Attempt opened: the number of job j's next attempt, with the epoch of l, its new lease; see jobs/attempts.py. It only
grows, also where a job has used up all numbers of its epoch. */
j.attempt + 1 + {epoch} * GREATEST(l.epoch - j.attempt / {epoch}, 0)
