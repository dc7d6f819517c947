-- Site held: since when notifications are held back, if they are.
SELECT alerts_held_since FROM jobsite_site WHERE id = 1 AND alerts_held_since IS NOT NULL;
