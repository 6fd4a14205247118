/*
 * What a thread's counter is opened with, by the agent itself or by the recorder on its behalf.
 */
#ifndef TALLY_AGENT_ATTR_H
#define TALLY_AGENT_ATTR_H

#include "agent/protocol.h"

#include <linux/perf_event.h>

/* The leader of a group is opened disabled; enabling it enables all. */
static inline void tally_counter_attr(const struct tally_counter *counter, uint32_t index,
                                      uint64_t period, struct perf_event_attr *attr)
{
    *attr = (struct perf_event_attr){
        .size = sizeof(*attr),
        .type = counter->type,
        .config = counter->config,
        .config1 = counter->config1,
        .config2 = counter->config2,
        .exclude_user = counter->exclude_user,
        .exclude_kernel = counter->exclude_kernel,
        .exclude_hv = counter->exclude_hv,
        .precise_ip = counter->precise & 3,
        .disabled = index == counter->leader,
        .read_format =
            PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
    };
    if (counter->weight == TALLY_WEIGHT_NONE)
        return;
    attr->sample_type = PERF_SAMPLE_ADDR;
    attr->sigtrap = 1;
    attr->remove_on_exec = 1;
    attr->sig_data = index;
    attr->freq = counter->frequency != 0;
    if (attr->freq)
        attr->sample_freq = counter->frequency;
    else
        attr->sample_period = period;
}

#endif
