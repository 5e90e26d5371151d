"""What can answer: services over HTTP, models in this process, and a scripted one."""
