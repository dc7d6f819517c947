/* Next job: one that may go, with its round. */
ids := ids || job.id;
                priorities := priorities || job.priority;
                run_ats := run_ats || job.run_at;
                grps := grps || of_group;
                places := places || at_place + taken;
                taken := taken + 1;
