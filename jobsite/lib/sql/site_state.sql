-- Site state: the present epoch, and since when notifications are held back, if they are.
SELECT epoch, alerts_held_since FROM jobsite_site WHERE id = 1;
