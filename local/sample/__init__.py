"""The simulated sample season: invented teams, players, games and lines; never a real one."""
