#include "summary.h"

#include "output/report.h"

void summary_print(const struct tally_profile *profile, const char *path)
{
    enum { TOP = 5 };
    struct tally_view view;
    tally_view_make(&view, TALLY_VIEW_FUNCTION, profile, NULL, 0);
    fputc('\n', stderr);
    tally_report_text(stderr, &view, view.row_count < TOP ? view.row_count : TOP, 0);
    fprintf(stderr, "\nRecorded in %s: \"tallystack report -i %s\" shows all of it.\n", path, path);
    tally_view_release(&view);
}
