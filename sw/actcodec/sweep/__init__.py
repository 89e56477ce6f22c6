"""Methods side by side: the same network, images and accounting for every point of a rate–accuracy plot."""
